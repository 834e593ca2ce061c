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
	Href         string                 `json:"href"`
	Method       string                 `json:"method"`
	Schema       map[string]interface{} `json:"schema"`
	TargetSchema map[string]interface{} `json:"targetSchema"`
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
			ran++
			if err := try(linksOf(schema), fixture, key); err != nil {
				errors++
				fmt.Printf("%s: %s\n", filepath.Base(fixture), err)
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

// linksOf gives each link the definitions of its file, null where there are none.  A file that is no JSON has
// no links, and of that nothing is said.
func linksOf(file string) []link {
	var document struct {
		Definitions interface{}
		Links       []link
	}
	if err := readFirst(file, &document); err != nil {
		return nil
	}
	for _, each := range document.Links {
		each.Schema["definitions"] = document.Definitions
		each.TargetSchema["definitions"] = document.Definitions
	}
	return document.Links
}

// readFirst does not look at what stands in a file behind the first value.
func readFirst(file string, value interface{}) error {
	raw, err := ioutil.ReadFile(file)
	if err != nil {
		return err
	}
	return json.NewDecoder(bytes.NewReader(raw)).Decode(value)
}

func try(links []link, file string, key string) error {
	var fixture map[string]interface{}
	if err := readFirst(file, &fixture); err != nil {
		return err
	}
	for _, turn := range []struct {
		key    string
		status int
	}{{key, 200}, {"KDS_SPOLIATER", 401}} {
		fixture["integration_auth_token"] = turn.key
		for _, each := range links {
			if err := exchange(each, fixture, turn.status); err != nil {
				return err
			}
		}
	}
	return nil
}

func exchange(each link, fixture map[string]interface{}, expected int) error {
	if err := valid(each.Schema, fixture); err != nil {
		return fmt.Errorf("fixture: %s", err)
	}
	status, body, err := send(each, fixture)
	if err != nil {
		return err
	}
	if status != expected {
		return fmt.Errorf("status %d, not %d", status, expected)
	}
	if status != 200 {
		return nil
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
	return nil
}

func send(each link, body map[string]interface{}) (int, []byte, error) {
	address, err := url.Parse(*baseURL)
	if err != nil {
		return 0, nil, err
	}
	address.Path += each.Href
	var raw bytes.Buffer
	if err := json.NewEncoder(&raw).Encode(body); err != nil {
		return 0, nil, err
	}
	// Without a method this is a GET.
	request, err := http.NewRequest(strings.ToUpper(each.Method), address.String(), &raw)
	if err != nil {
		return 0, nil, err
	}
	request.Header.Set("Content-Type", "application/json")
	client := http.Client{Timeout: *timeout}
	reply, err := client.Do(request)
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
