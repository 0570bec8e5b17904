// Links that KFP's own client prints (#/runs/details/<id>) lead to the pages here.
const route = location.hash.match(/^#\/(runs|experiments|pipelines|recurringrun|jobs)\/details\/([^/?]+)(?:\/version\/([^/?]+))?/);
if (route) {
  const [, kind, id, version] = route;
  const place = { runs: `/runs/${id}`, experiments: `/runs?experiment=${id}`, recurringrun: `/schedules/${id}`, jobs: `/schedules/${id}`,
    pipelines: `/pipelines/${id}` + (version ? `/versions/${version}` : "") }[kind];
  location.replace(place);
}

// A page about something that goes on is fetched again and its content replaced, as long as the server says so.
async function refresh() {
  const main = document.querySelector("main[data-live]");
  if (!main) return;
  try {
    if (!document.hidden && !main.querySelector("input:focus, select:focus, textarea:focus")) {
      const answer = await fetch(location.href, { headers: { Accept: "text/html" }, redirect: "manual" });
      if (answer.type === "opaqueredirect") return location.reload();
      if (answer.ok) {
        const fresh = new DOMParser().parseFromString(await answer.text(), "text/html").querySelector("main");
        if (fresh) replace(main, fresh);
      }
    }
  } catch { /* the endpoint is away; the next round finds it again */ }
  setTimeout(refresh, 1500);
}

function replace(main, fresh) {
  const open = new Set([...main.querySelectorAll("details[open] > summary")].map((each) => each.textContent));
  const checked = new Set([...main.querySelectorAll("input:checked[value]")].map((each) => each.value));
  const focused = main.contains(document.activeElement) ? path(main, document.activeElement) : null;
  const scrolled = [...main.querySelectorAll(".log, .dag, .table")].map((each) => [each.scrollLeft, each.scrollTop,
    each.scrollTop + each.clientHeight >= each.scrollHeight - 4]);
  for (const frame of main.querySelectorAll("iframe")) {
    const twin = [...fresh.querySelectorAll("iframe")].find((each) => each.getAttribute("src") === frame.getAttribute("src"));
    if (twin) return; // a page with something shown in place is not taken from under its reader
  }
  main.replaceChildren(...fresh.childNodes);
  if (!fresh.hasAttribute("data-live")) main.removeAttribute("data-live");
  for (const summary of main.querySelectorAll("summary")) if (open.has(summary.textContent)) summary.parentElement.open = true;
  for (const box of main.querySelectorAll("input[type=checkbox]")) if (checked.has(box.value)) box.checked = true;
  [...main.querySelectorAll(".log, .dag, .table")].forEach((each, n) => {
    if (!scrolled[n]) return;
    each.scrollLeft = scrolled[n][0];
    each.scrollTop = each.classList.contains("log") && scrolled[n][2] ? each.scrollHeight : scrolled[n][1];
  });
  if (focused) at(main, focused)?.focus({ preventScroll: true });
}

function path(root, element) {
  const steps = [];
  for (; element !== root; element = element.parentElement) steps.unshift([...element.parentElement.children].indexOf(element));
  return steps;
}

function at(root, steps) {
  return steps.reduce((element, step) => element?.children[step], root);
}

document.addEventListener("submit", (event) => {
  const question = event.submitter?.dataset.confirm;
  if (question && !confirm(question)) event.preventDefault();
});
for (const log of document.querySelectorAll(".log")) log.scrollTop = log.scrollHeight;
setTimeout(refresh, 1500);
