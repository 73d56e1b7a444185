/** The control page: plain HTML, forms that work without JavaScript. Everything shown is escaped by the template. */
import { html, raw } from "hono/html";
import type { State } from "./account.ts";
import { FAULT_KINDS } from "./faults.ts";
import type { Complaint } from "./input.ts";
import type { LoggedRequest } from "./request-log.ts";
import type { Settings } from "./settings.ts";

/** Raw, because a style sheet must not be escaped. */
const STYLE = raw(`
  :root { color-scheme: light dark; --line: #8884; --accent: #2f6f4f; }
  body { font: 15px/1.5 system-ui, sans-serif; max-width: 72rem; margin: 0 auto; padding: 1rem 1.5rem 3rem; }
  header { display: flex; justify-content: space-between; align-items: center; }
  h1 { font-size: 1.4rem; } h2 { font-size: 1.05rem; margin: 0 0 .6rem; } p { margin: .3rem 0 .6rem; }
  main { display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; align-items: start; margin: 1rem 0; }
  main > div { display: grid; gap: 1rem; }
  main form, section:not(.figures) { border: 1px solid var(--line); border-radius: .5rem; padding: 1rem; }
  .figures { display: grid; grid-template-columns: repeat(4, 1fr); gap: 1rem; }
  .figures div { border: 1px solid var(--line); border-radius: .5rem; padding: .6rem 1rem; font-size: .85rem; }
  .figures b { display: block; font-size: 1.5rem; font-variant-numeric: tabular-nums; }
  progress { width: 100%; accent-color: var(--accent); margin-top: .6rem; }
  .fields { display: grid; grid-template-columns: 1fr 1fr; gap: .6rem 1rem; margin-bottom: .8rem; }
  .wide { grid-column: 1 / -1; }
  label span { display: block; font-weight: 600; font-size: .85rem; } small { opacity: .7; }
  input, select, textarea { width: 100%; box-sizing: border-box; font: inherit; padding: .25rem .4rem; }
  button { font: inherit; padding: .35rem .9rem; border: 1px solid var(--accent); border-radius: .35rem; background: var(--accent); color: #fff; cursor: pointer; }
  .plain { background: none; color: inherit; border-color: var(--line); }
  table { width: 100%; border-collapse: collapse; table-layout: fixed; font-size: .85rem; }
  th, td { text-align: left; padding: .25rem .5rem; border-top: 1px solid var(--line); } thead th { border: 0; }
  th:nth-child(3) { width: 60%; } .path { overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
  ol, ul { padding-left: 1.2rem; margin: 0 0 .8rem; overflow-wrap: anywhere; }
  .complaint { border-color: #b3261e !important; margin-bottom: 1rem; }
  @media (max-width: 50rem) { main, .figures { grid-template-columns: 1fr; } }
`);

type Html = ReturnType<typeof html>;

const number = (value: number): string => value.toLocaleString("en-US");

const field = (label: string, name: string, value: number | string, hint: string): Html =>
  html`<label><span>${label}</span><input name="${name}" value="${value}" autocomplete="off" /><small>${hint}</small></label>`;

const choice = (label: string, name: string, values: readonly string[], current: string): Html => html`
  <label>
    <span>${label}</span>
    <select name="${name}">
      ${values.map((value) => html`<option ${value === current ? "selected" : ""}>${value}</option>`)}
    </select>
  </label>
`;

const lines = (map: Record<string, number>): string =>
  Object.entries(map)
    .map(([name, total]) => `${name} = ${total}`)
    .join("\n");

const area = (label: string, name: string, map: Record<string, number>, hint: string): Html =>
  html`<label class="wide"><span>${label}</span><textarea name="${name}" rows="3" placeholder="${hint}">${lines(map)}</textarea></label>`;

const figures = ({ now, spent, left, requests, settings, billed_requests }: State): Html => html`
  <section class="figures">
    <div><b>${number(spent)}</b>spent today</div>
    <div><b>${number(left)}</b>left of ${number(settings.daily_limit)}</div>
    <div><b>${number(requests)}</b>requests, ${number(billed_requests)} billed</div>
    <div><b>${now.slice(11, 19)}</b>${now.slice(0, 10)} UTC, ${settings.clock === null ? "real time" : "set by hand"}</div>
  </section>
  <progress max="${Math.max(1, settings.daily_limit)}" value="${Math.min(spent, settings.daily_limit)}"></progress>
`;

const settingsForm = (settings: Settings): Html => html`
  <form method="post" action="/_simulator/settings">
    <h2>Settings</h2>
    <div class="fields">
      ${field("Daily limit", "daily_limit", settings.daily_limit, "calls a UTC day")}
      ${field("Rate", "rate_per_second", settings.rate_per_second, "a second, as 60 times that a minute; 0: none")}
      ${field("Batch", "max_batch", settings.max_batch, "ISBNs a POST /books")}
      ${choice("Billing", "billing", ["per_request", "per_isbn"], settings.billing)}
      ${choice("Dialect", "dialect", ["2026", "2025"], settings.dialect)}
      ${field("Unknown", "unknown_percent", settings.unknown_percent, "percent of all ISBNs")}
      ${field("Latency", "latency_ms", settings.latency_ms, "ms before every answer")}
      ${field("Clock", "clock", settings.clock ?? "", "2026-03-01T23:59:50Z; empty: real time")}
      ${area("Authors", "authors", settings.authors, "Name = number of books; 0 is unknown")}
      ${area("Months", "releases", settings.releases, "2026-03 = number of books published")}
    </div>
    <button>Save settings</button>
  </form>
`;

const spendForm = html`
  <form method="post" action="/_simulator/spend">
    <h2>Spend elsewhere</h2>
    <p>Calls of somebody else on the same subscription.</p>
    <div class="fields">${field("Calls", "calls", 100, "counted at once")}</div>
    <button>Spend</button>
  </form>
`;

const listedFault = ({ id, kind, matched, ...rest }: State["faults"][number]): Html =>
  html`<li><code>${kind}</code> <code>${JSON.stringify(rest)}</code> matched ${matched} so far (no. ${id})</li>`;

const faultForm = (faults: State["faults"]): Html => html`
  <form method="post" action="/_simulator/faults">
    <h2>Faults</h2>
    ${
      faults.length === 0
        ? html`<p>None waiting.</p>`
        : html`<ol>
            ${faults.map(listedFault)}
          </ol>`
    }
    <div class="fields">
      ${choice("Kind", "kind", FAULT_KINDS, "status")} ${field("Status", "status", 500, "for kind status")}
      ${field("Hang", "hang_ms", 30_000, "ms, for the kinds that hang")} ${field("Path", "path", "", "begins with; empty: every path")}
      ${field("After", "after", 0, "requests passed first")} ${field("Times", "times", 1, "0: until cleared")}
    </div>
    <button>Add fault</button>
    <button formaction="/_simulator/faults/clear" class="plain">Clear all</button>
  </form>
`;

const requestRow = ({ at, method, path, status, billed, isbns }: LoggedRequest): Html => html`
  <tr>
    <td>${at.slice(11, 23)}</td>
    <td>${method}</td>
    <td class="path" title="${path}">${path}${isbns === undefined ? "" : ` (${isbns.length} ISBNs)`}</td>
    <td>${status ?? "none"}</td>
    <td>${billed}</td>
  </tr>
`;

const requestTable = (requests: readonly LoggedRequest[]): Html => html`
  <section>
    <h2>Latest requests</h2>
    <table>
      <thead>
        <tr>
          <th>UTC</th>
          <th>Method</th>
          <th>Path</th>
          <th>Status</th>
          <th>Billed</th>
        </tr>
      </thead>
      <tbody>
        ${
          requests.length === 0
            ? html`<tr>
                <td colspan="5">None yet.</td>
              </tr>`
            : requests.toReversed().map(requestRow)
        }
      </tbody>
    </table>
    <p><a href="/_simulator/requests?limit=1000">More as JSON</a> · <a href="/_simulator/state">State as JSON</a></p>
  </section>
`;

const complaintList = (complaints: readonly Complaint[]): Html => html`
  <section class="complaint" role="alert">
    <b>Nothing was changed.</b>
    <ul>
      ${complaints.map(({ field: name, value, expected }) => html`<li><code>${name}</code> is <code>${JSON.stringify(value) ?? "missing"}</code>, expected ${expected}</li>`)}
    </ul>
  </section>
`;

export const controlPage = (state: State, requests: readonly LoggedRequest[], complaints: readonly Complaint[] = []): Html =>
  html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <title>ISBNdb simulator</title>
        <style>
          ${STYLE}
        </style>
      </head>
      <body>
        <header>
          <h1>ISBNdb simulator</h1>
          <form method="post" action="/_simulator/reset"><button class="plain">Reset everything</button></form>
        </header>
        ${complaints.length === 0 ? "" : complaintList(complaints)} ${figures(state)}
        <main>
          ${settingsForm(state.settings)}
          <div>${faultForm(state.faults)}${spendForm}</div>
        </main>
        ${requestTable(requests)}
      </body>
    </html>`;
