/** The control page's looks. Raw, because a style sheet must not be escaped. */
import { raw } from "hono/html";

export const STYLE = raw(`
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
