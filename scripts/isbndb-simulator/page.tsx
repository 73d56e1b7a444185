/** Control page of the simulator. Its forms work without JavaScript, and JSX escapes all values. */
import { html, raw } from "hono/html";
import type { State } from "./account.ts";
import { FAULT_KINDS } from "./faults.ts";
import type { Problem } from "./input.ts";
import type { LoggedRequest } from "./request-log.ts";
import type { Settings } from "./settings.ts";

/** Raw, so that the style sheet is not escaped. */
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
  .problems { border-color: #b3261e !important; margin-bottom: 1rem; }
  @media (max-width: 50rem) { main, .figures { grid-template-columns: 1fr; } }
`);

const number = (value: number): string => value.toLocaleString("en-US");

interface FieldProps {
  readonly label: string;
  readonly name: string;
  readonly value: number | string;
  readonly hint: string;
}

const Field = ({ label, name, value, hint }: FieldProps) => (
  <label>
    <span>{label}</span>
    <input name={name} value={value} autocomplete="off" />
    <small>{hint}</small>
  </label>
);

interface ChoiceProps {
  readonly label: string;
  readonly name: string;
  readonly values: readonly string[];
  readonly current: string;
}

const Choice = ({ label, name, values, current }: ChoiceProps) => (
  <label>
    <span>{label}</span>
    <select name={name}>
      {values.map((value) => (
        <option selected={value === current}>{value}</option>
      ))}
    </select>
  </label>
);

const linesOf = (totals: Record<string, number>): string =>
  Object.entries(totals)
    .map(([name, total]) => `${name} = ${total}`)
    .join("\n");

const Totals = ({ label, name, value, hint }: Omit<FieldProps, "value"> & { readonly value: Record<string, number> }) => (
  <label class="wide">
    <span>{label}</span>
    <textarea name={name} rows={3} placeholder={hint}>
      {linesOf(value)}
    </textarea>
  </label>
);

const Figures = ({ now, spent, left, requests, settings, billed_requests }: State) => (
  <>
    <section class="figures">
      <div>
        <b>{number(spent)}</b>used today
      </div>
      <div>
        <b>{number(left)}</b>left of {number(settings.daily_limit)}
      </div>
      <div>
        <b>{number(requests)}</b>requests, {number(billed_requests)} billed
      </div>
      <div>
        <b>{now.slice(11, 19)}</b>
        {now.slice(0, 10)} UTC, {settings.clock === null ? "real time" : "set manually"}
      </div>
    </section>
    <progress max={Math.max(1, settings.daily_limit)} value={Math.min(spent, settings.daily_limit)}></progress>
  </>
);

const SettingsForm = (settings: Settings) => (
  <form method="post" action="/_simulator/settings">
    <h2>Settings</h2>
    <div class="fields">
      <Field label="Daily limit" name="daily_limit" value={settings.daily_limit} hint="calls per UTC day" />
      <Field label="Rate" name="rate_per_second" value={settings.rate_per_second} hint="per second, enforced per minute, 0 for unlimited" />
      <Field label="Batch" name="max_batch" value={settings.max_batch} hint="ISBNs per POST /books" />
      <Choice label="Billing" name="billing" values={["per_request", "per_isbn"]} current={settings.billing} />
      <Choice label="Dialect" name="dialect" values={["2026", "2025"]} current={settings.dialect} />
      <Field label="Unknown" name="unknown_percent" value={settings.unknown_percent} hint="percent of all ISBNs" />
      <Field label="Latency" name="latency_ms" value={settings.latency_ms} hint="ms before each response" />
      <Field label="Clock" name="clock" value={settings.clock ?? ""} hint="2026-03-01T23:59:50Z, empty for real time" />
      <Totals label="Authors" name="authors" value={settings.authors} hint="Name = number of books, 0 for unknown" />
      <Totals label="Months" name="releases" value={settings.releases} hint="2026-03 = number of books published" />
    </div>
    <button>Save settings</button>
  </form>
);

const SpendForm = () => (
  <form method="post" action="/_simulator/spend">
    <h2>Other clients</h2>
    <p>Adds calls of another client of the subscription.</p>
    <div class="fields">
      <Field label="Calls" name="calls" value={100} hint="counted immediately" />
    </div>
    <button>Add calls</button>
  </form>
);

const FaultItem = ({ id, kind, matched, ...rest }: State["faults"][number]) => (
  <li>
    <code>{kind}</code> <code>{JSON.stringify(rest)}</code> matched {matched} so far (no. {id})
  </li>
);

const FaultForm = ({ faults }: Pick<State, "faults">) => (
  <form method="post" action="/_simulator/faults">
    <h2>Faults</h2>
    {faults.length === 0 ? <p>No faults.</p> : <ol>{faults.map(FaultItem)}</ol>}
    <div class="fields">
      <Choice label="Kind" name="kind" values={FAULT_KINDS} current="status" />
      <Field label="Status" name="status" value={500} hint="for kind status" />
      <Field label="Delay" name="hang_ms" value={30_000} hint="ms, for kinds hang_…" />
      <Field label="Path" name="path" value="" hint="prefix, empty for all paths" />
      <Field label="After" name="after" value={0} hint="number of requests before the fault" />
      <Field label="Times" name="times" value={1} hint="0 for all requests" />
    </div>
    <button>Add fault</button>
    <button formaction="/_simulator/faults/clear" class="plain">
      Clear all
    </button>
  </form>
);

const RequestRow = ({ at, method, path, status, billed, isbns }: LoggedRequest) => (
  <tr>
    <td>{at.slice(11, 23)}</td>
    <td>{method}</td>
    <td class="path" title={path}>
      {path}
      {isbns === undefined ? "" : ` (${isbns.length} ISBNs)`}
    </td>
    <td>{status ?? "none"}</td>
    <td>{billed}</td>
  </tr>
);

const RequestTable = ({ requests }: { readonly requests: readonly LoggedRequest[] }) => (
  <section>
    <h2>Latest requests</h2>
    {requests.length === 0 ? (
      <p>No requests yet.</p>
    ) : (
      <table>
        <thead>
          <tr>
            {["UTC", "Method", "Path", "Status", "Billed"].map((name) => (
              <th>{name}</th>
            ))}
          </tr>
        </thead>
        <tbody>{requests.toReversed().map(RequestRow)}</tbody>
      </table>
    )}
    <p>
      <a href="/_simulator/requests?limit=1000">More as JSON</a> · <a href="/_simulator/state">State as JSON</a>
    </p>
  </section>
);

const Problems = ({ problems }: { readonly problems: readonly Problem[] }) => (
  <section class="problems" role="alert">
    <b>Nothing was changed.</b>
    <ul>
      {problems.map(({ field, value, expected }) => (
        <li>
          <code>{field}</code> must be {expected} (got <code>{JSON.stringify(value) ?? "nothing"}</code>)
        </li>
      ))}
    </ul>
  </section>
);

export const controlPage = (state: State, requests: readonly LoggedRequest[], problems: readonly Problem[] = []) =>
  html`<!doctype html>${(
      <html lang="en">
        <head>
          <meta charset="utf-8" />
          <meta name="viewport" content="width=device-width, initial-scale=1" />
          <title>ISBNdb simulator</title>
          <style>{STYLE}</style>
        </head>
        <body>
          <header>
            <h1>ISBNdb simulator</h1>
            <form method="post" action="/_simulator/reset">
              <button class="plain">Reset everything</button>
            </form>
          </header>
          {problems.length === 0 ? null : <Problems problems={problems} />}
          <Figures {...state} />
          <main>
            <SettingsForm {...state.settings} />
            <div>
              <FaultForm faults={state.faults} />
              <SpendForm />
            </div>
          </main>
          <RequestTable requests={requests} />
        </body>
      </html>
    )}`;
