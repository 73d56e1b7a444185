/**
 * Keeps a page up to date: fetches its content anew and changes only what differs, so that nothing flickers and nobody loses their place.
 * Without this script the pages are the same, and stand still.
 */
const MAX_WAIT_MS = 60_000;
const TIMEOUT_MS = 20_000;
const MS_PER_SECOND = 1_000;

/** How people are told that the page is not up to date. */
const connection = document.querySelector("#connection");

let failures = 0;
let lastAt = new Date();
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

const mainOf = (/** @type {ParentNode} */ root) => root.querySelector("main");

/** @param {Node} node what tells it from its siblings, wherever it stands among them */
function keyOf(node) {
  if (!(node instanceof Element)) return null;
  return node.id || node.getAttribute("data-key") || null;
}

/** @param {Node} from @param {Node} to whether one may become the other */
function alike(from, to) {
  return from.nodeName === to.nodeName && keyOf(from) === keyOf(to);
}

/** Makes `from` what `to` is. @param {Node} from @param {Node} to */
function become(from, to) {
  if (from.isEqualNode(to)) return;
  if (!(from instanceof Element) || !(to instanceof Element)) {
    from.nodeValue = to.nodeValue;
    return;
  }
  // What somebody may be writing in.
  if (from.hasAttribute("data-still")) return;
  // Whether something is open is the reader's choice.
  const isReaders = (/** @type {string} */ name) => from.nodeName === "DETAILS" && name === "open";
  for (const { name } of Array.from(from.attributes)) if (!to.hasAttribute(name) && !isReaders(name)) from.removeAttribute(name);
  for (const { name, value } of to.attributes) {
    if (from.getAttribute(name) !== value && !isReaders(name)) from.setAttribute(name, value);
  }
  becomeChildren(from, to);
}

/** @param {Element} from @param {Element} to */
function becomeChildren(from, to) {
  const keyed = new Map([...from.children].flatMap((child) => (keyOf(child) === null ? [] : [[keyOf(child), child]])));
  /** @type {ChildNode | null} */
  let at = from.firstChild;
  for (const next of Array.from(to.childNodes)) {
    const key = keyOf(next);
    const match = key === null ? (at !== null && alike(at, next) ? at : null) : (keyed.get(key) ?? null);
    if (match === null || !alike(match, next)) {
      from.insertBefore(next, at);
      continue;
    }
    if (match === at) at = at.nextSibling;
    else from.insertBefore(match, at);
    become(match, next);
  }
  while (at !== null) {
    const rest = at.nextSibling;
    at.remove();
    at = rest;
  }
}

/** @param {string} text nothing: all is well */
function say(text) {
  if (connection !== null && connection.textContent !== text) connection.textContent = text;
}

async function refresh() {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const response = await fetch(location.href, { headers: { "x-fragment": "main", accept: "text/html" }, redirect: "manual", signal });
  if (response.type === "opaqueredirect") {
    say("You are signed out. Reload the page to sign in.");
    return false;
  }
  const next = mainOf(new DOMParser().parseFromString(await response.text(), "text/html"));
  const main = mainOf(document);
  if (next === null || main === null) throw new Error(`answered ${response.status}`);
  const focused = document.activeElement;
  become(main, next);
  if (focused instanceof HTMLElement && focused !== document.activeElement && focused.isConnected) focused.focus({ preventScroll: true });
  document.title = main.dataset["title"] ?? document.title;
  return true;
}

async function tick() {
  clearTimeout(timer);
  if (document.hidden) return;
  try {
    if (!(await refresh())) return;
    failures = 0;
    lastAt = new Date();
    say("");
  } catch {
    failures += 1;
    say(`Not up to date since ${lastAt.toISOString().slice(11, 19)} UTC; trying again.`);
  }
  wait();
}

function wait() {
  const seconds = Number(mainOf(document)?.dataset["refresh"] ?? 0);
  if (seconds > 0) timer = setTimeout(() => void tick(), Math.min(MAX_WAIT_MS, seconds * MS_PER_SECOND * 2 ** failures));
}

// Nobody looks: nothing is asked for. Who comes back sees what is.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && mainOf(document)?.dataset["refresh"] !== undefined) void tick();
});

wait();
