// The algorithm of the RetailOps SDK's verifier in its own language and with its own validator, written
// anew from a description, so that the Python replay is not its own only witness.
package main

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io/ioutil"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/xeipuuv/gojsonschema"
)

type link struct {
	Href         string      `json:"href"`
	Schema       interface{} `json:"schema"`
	TargetSchema interface{} `json:"targetSchema"`
}

var (
	baseURL = flag.String("base-url", "http://localhost:5000/api/channel", "server under test")
	schemas = flag.String("schema-path", "schema", "folder of schemas")
	tests   = flag.String("tests-path", "tests", "folder of fixtures")
	actions = flag.String("actions", "", "comma list of parts of names")
	timeout = flag.Duration("timeout", 15*time.Second, "for a whole exchange")
	judge   = flag.Bool("judge", false, "read {schema, value} lines and print valid or not for each")
)

func main() {
	flag.Parse()
	if *judge {
		judgeLines()
		return
	}
	key := os.Getenv("VERIFIER_KEY") // not a flag: a list of processes would show it
	errors, ran := 0, 0
	for _, schema := range schemaFiles() {
		name := strings.TrimSuffix(filepath.Base(schema), ".json")
		fixtures, _ := filepath.Glob(filepath.Join(*tests, name+"_ex_*.json"))
		for _, fixture := range fixtures {
			for _, each := range linksOf(schema) {
				ran++
				if err := try(each, fixture, key); err != nil {
					errors++
					fmt.Printf("%s: %s\n", filepath.Base(fixture), err)
				}
			}
		}
	}
	if errors > 0 || ran == 0 {
		fmt.Printf("%d of %d failed\n", errors, ran)
		os.Exit(1)
	}
	fmt.Printf("local verify was successful, %d tests\n", ran)
}

func schemaFiles() []string {
	if *actions == "" {
		files, _ := filepath.Glob(filepath.Join(*schemas, "*v1.json"))
		return files
	}
	var chosen []string
	for _, entry := range strings.Split(*actions, ",") {
		files, _ := filepath.Glob(filepath.Join(*schemas, "*"+entry+"*v1.json"))
		chosen = append(chosen, files...)
	}
	return chosen
}

func linksOf(file string) []link {
	raw, err := ioutil.ReadFile(file)
	var document struct{ Links []link }
	if err == nil {
		err = json.Unmarshal(raw, &document)
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	return document.Links
}

func try(each link, file string, key string) error {
	raw, err := ioutil.ReadFile(file)
	if err != nil {
		return err
	}
	var fixture map[string]interface{}
	if err := json.Unmarshal(raw, &fixture); err != nil {
		return err
	}
	fixture["integration_auth_token"] = key
	if err := valid(each.Schema, fixture); err != nil {
		return fmt.Errorf("fixture: %s", err)
	}
	status, body, err := post(each.Href, fixture)
	if err != nil {
		return err
	}
	if status != 200 {
		return fmt.Errorf("status %d, not 200", status)
	}
	var answer map[string]interface{}
	if err := json.Unmarshal(body, &answer); err != nil {
		return err
	}
	if answer == nil {
		return fmt.Errorf("the answer is null")
	}
	if err := valid(each.TargetSchema, answer); err != nil {
		return fmt.Errorf("answer: %s", err)
	}
	fixture["integration_auth_token"] = "KDS_SPOLIATER"
	status, _, err = post(each.Href, fixture)
	if err != nil {
		return err
	}
	if status != 401 {
		return fmt.Errorf("status %d, not 401", status)
	}
	return nil
}

func post(href string, body map[string]interface{}) (int, []byte, error) {
	address, err := url.Parse(*baseURL)
	if err != nil {
		return 0, nil, err
	}
	address.Path += href
	var raw bytes.Buffer
	if err := json.NewEncoder(&raw).Encode(body); err != nil {
		return 0, nil, err
	}
	client := http.Client{Timeout: *timeout}
	reply, err := client.Post(address.String(), "application/json", &raw)
	if err != nil {
		return 0, nil, err
	}
	defer reply.Body.Close()
	read, err := ioutil.ReadAll(reply.Body)
	return reply.StatusCode, read, err
}

func valid(schema interface{}, value interface{}) error {
	result, err := gojsonschema.Validate(gojsonschema.NewGoLoader(schema), gojsonschema.NewGoLoader(value))
	if err != nil {
		return err
	}
	if !result.Valid() {
		return fmt.Errorf("%s", result.Errors()[0])
	}
	return nil
}

// judgeLines prints for each line of standard input whether its value satisfies its schema.
func judgeLines() {
	lines := json.NewDecoder(os.Stdin)
	lines.UseNumber()
	for lines.More() {
		var pair struct{ Schema, Value interface{} }
		if err := lines.Decode(&pair); err != nil {
			fmt.Println(err)
			os.Exit(1)
		}
		fmt.Println(valid(pair.Schema, pair.Value) == nil)
	}
}
