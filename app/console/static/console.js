// What the pages can do without it, they do without it.  This adds keys, relative times, copying of ids, fresh figures,
// and keeps a form from being sent twice.
"use strict";

(() => {
  const root = "/console";
  const zone = Intl.DateTimeFormat().resolvedOptions().timeZone;
  const local = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
  const units = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];

  function duration(seconds) {
    const [size, unit] = units.find(([each]) => seconds >= 2 * each) || units[3];
    return `${Math.round(seconds / size)} ${unit}`;
  }

  function ago(moment, now) {
    const passed = (now - moment) / 1000;
    if (passed < -1) return `in ${duration(-passed)}`;
    return passed < 2 ? "just now" : `${duration(passed)} ago`;
  }

  // The server's clock counts: relative times go on from what the page said when it came.
  let clock = () => new Date();

  function showTimes(under) {
    for (const each of under.querySelectorAll("time[datetime]")) {
      const moment = new Date(each.dateTime);
      if (!each.dataset.exact) {
        each.dataset.exact = each.title;
        each.title = `${each.title}\n${local.format(moment)} in your time zone (${zone})`;
      }
      if (each.classList.contains("ago")) each.textContent = ago(moment, clock());
    }
  }

  function offerCopies(under) {
    for (const each of under.querySelectorAll("[data-copy]")) {
      if (each.getAttribute("role") === "button" || !navigator.clipboard) continue;
      each.setAttribute("role", "button");
      each.setAttribute("aria-label", `Copy ${each.dataset.copy}`);
      each.tabIndex = 0;
      const copy = async () => {
        await navigator.clipboard.writeText(each.dataset.copy);
        const before = each.textContent;
        each.textContent = "copied";
        setTimeout(() => { each.textContent = before; }, 900);
      };
      each.addEventListener("click", copy);
      each.addEventListener("keydown", (event) => { if (event.key === "Enter") copy(); });
    }
  }

  // What is old says so: its relative times go on as if somebody still looked.
  let freshAt = null;
  function sayWhetherOld(why) {
    let line = document.getElementById("old");
    if (!why) {
      freshAt = clock();
      line?.remove();
    } else {
      if (!line) {
        line = document.createElement("p");
        line.id = "old";
        line.className = "notice warning";
        line.setAttribute("role", "status");
        main.prepend(line);
      }
      const said = `${why} This page stands as it was at ${local.format(freshAt)}; reload it.`;
      if (line.textContent !== said) line.textContent = said;
    }
  }

  // Fresh figures take the place of old ones part by part, and only where nobody is busy with them.
  async function refresh() {
    if (document.hidden || document.querySelector("dialog[open]")) return;
    const reply = await fetch(location.href, { credentials: "same-origin", redirect: "manual" }).catch(() => null);
    const isOut = reply && reply.type === "opaqueredirect";
    if (!reply) sayWhetherOld("The server does not answer.");
    else if (isOut) sayWhetherOld("You are signed out.");
    else sayWhetherOld(reply.ok ? "" : `The server answers with HTTP ${reply.status}.`);
    if (!reply || !reply.ok) return;
    const fresh = new DOMParser().parseFromString(await reply.text(), "text/html");
    for (const part of document.querySelectorAll("[data-live]")) {
      const other = fresh.getElementById(part.id);
      const busy = part.contains(document.activeElement) || !getSelection().isCollapsed;
      if (!other || busy) continue;
      const open = [...part.querySelectorAll("details")].map((each) => each.open);
      part.replaceChildren(...document.importNode(other, true).childNodes);
      part.querySelectorAll("details").forEach((each, at) => { each.open = Boolean(open[at]); });
      dress(part);
    }
  }

  function rows() {
    const each = [...document.querySelectorAll("tbody tr, .timeline li, .card h2")];
    return each.map((row) => row.querySelector("a")).filter(Boolean);
  }

  function step(by) {
    const links = rows();
    const at = links.indexOf(document.activeElement);
    const next = links[at < 0 ? (by > 0 ? 0 : links.length - 1) : at + by];
    if (next) next.focus();
  }

  const keys = [
    ["/", "search"], ["g o", "orders"], ["g d", "deliveries"], ["g c", "callbacks"], ["g h", "health"],
    ["j", "next row"], ["k", "row before"], ["?", "this list"],
  ];
  const places = { o: "orders", d: "deliveries", c: "callbacks", h: "health" };

  function keyList() {
    let list = document.getElementById("keys");
    if (!list) {
      list = document.createElement("dialog");
      list.id = "keys";
      list.setAttribute("aria-label", "Keys");
      const facts = document.createElement("dl");
      facts.className = "facts";
      for (const [key, does] of keys) {
        const term = document.createElement("dt");
        const name = document.createElement("kbd");
        name.textContent = key;
        term.append(name);
        const meaning = document.createElement("dd");
        meaning.textContent = does;
        facts.append(term, meaning);
      }
      const close = document.createElement("button");
      close.textContent = "Close";
      close.addEventListener("click", () => list.close());
      list.append(facts, close);
      document.body.append(list);
    }
    return list;
  }

  let went = 0;
  document.addEventListener("keydown", (event) => {
    const target = event.target;
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (target.closest("input, select, textarea") || document.querySelector("dialog[open]")) return;
    const isGoing = Date.now() - went < 1500;
    went = 0;
    if (isGoing && places[event.key]) location.assign(`${root}/${places[event.key]}`);
    else if (event.key === "g") went = Date.now();
    else if (event.key === "j") step(1);
    else if (event.key === "k") step(-1);
    else if (event.key === "?") keyList().showModal();
    else if (event.key === "/" && document.getElementById("q")) document.getElementById("q").select();
    else return;
    event.preventDefault();
  });

  document.addEventListener("submit", (event) => {
    if (event.target.method !== "post") return;
    if (event.target.dataset.sent) event.preventDefault();
    event.target.dataset.sent = "yes";
  });
  addEventListener("pageshow", () => {
    for (const form of document.forms) delete form.dataset.sent;
  });

  function dress(under) {
    showTimes(under);
    offerCopies(under);
  }

  const main = document.getElementById("main");
  if (main.dataset.now) {
    const skew = new Date(main.dataset.now) - new Date();
    clock = () => new Date(Date.now() + skew);
  }
  freshAt = clock();
  dress(document);
  // An act is announced once, not at each reload of the page.
  const address = new URL(location.href);
  if (address.searchParams.has("done")) {
    ["done", "count"].forEach((name) => address.searchParams.delete(name));
    history.replaceState(history.state, "", address);
  }
  setInterval(() => showTimes(document), 10000);
  if (main.dataset.refresh) setInterval(refresh, Number(main.dataset.refresh) * 1000);
})();
