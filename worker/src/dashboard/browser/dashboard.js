/**
 * Keeps a page up to date. Fetches its content again and changes only the differences, so that the page does not flicker and readers keep
 * their place. Without this script the pages work the same but do not refresh.
 */
const MAX_WAIT_MS = 60_000;
const TIMEOUT_MS = 20_000;
const MS_PER_SECOND = 1_000;

/** Message that the page is not up to date. */
const connection = document.querySelector("#connection");

let failures = 0;
let lastAt = new Date();
/** @type {ReturnType<typeof setTimeout> | undefined} */
let timer;

const mainOf = (/** @type {ParentNode} */ root) => root.querySelector("main");

/** Key of an element among its siblings, or null. @param {Node} node */
function keyOf(node) {
  if (!(node instanceof Element)) return null;
  return node.id || node.getAttribute("data-key") || null;
}

/** Whether `from` can be updated to `to`. @param {Node} from @param {Node} to */
function isUpdatable(from, to) {
  return from.nodeName === to.nodeName && keyOf(from) === keyOf(to);
}

/** Updates `from` to equal `to`. @param {Node} from @param {Node} to */
function update(from, to) {
  if (from.isEqualNode(to)) return;
  if (!(from instanceof Element) || !(to instanceof Element)) {
    from.nodeValue = to.nodeValue;
    return;
  }
  // The reader may be typing here.
  if (from.hasAttribute("data-still")) return;
  // The reader opens and closes details.
  const isReadersChoice = (/** @type {string} */ name) => from.nodeName === "DETAILS" && name === "open";
  for (const { name } of Array.from(from.attributes)) if (!to.hasAttribute(name) && !isReadersChoice(name)) from.removeAttribute(name);
  for (const { name, value } of to.attributes) {
    if (from.getAttribute(name) !== value && !isReadersChoice(name)) from.setAttribute(name, value);
  }
  updateChildren(from, to);
}

/** @param {Element} from @param {Element} to */
function updateChildren(from, to) {
  const keyed = new Map([...from.children].flatMap((child) => (keyOf(child) === null ? [] : [[keyOf(child), child]])));
  /** @type {ChildNode | null} */
  let at = from.firstChild;
  for (const next of Array.from(to.childNodes)) {
    const key = keyOf(next);
    const match = key === null ? (at !== null && isUpdatable(at, next) ? at : null) : (keyed.get(key) ?? null);
    if (match === null || !isUpdatable(match, next)) {
      from.insertBefore(next, at);
      continue;
    }
    if (match === at) at = at.nextSibling;
    else from.insertBefore(match, at);
    update(match, next);
  }
  while (at !== null) {
    const rest = at.nextSibling;
    at.remove();
    at = rest;
  }
}

/** @param {string} text empty if the page is up to date */
function showConnection(text) {
  if (connection !== null && connection.textContent !== text) connection.textContent = text;
}

async function refresh() {
  const signal = AbortSignal.timeout(TIMEOUT_MS);
  const response = await fetch(location.href, { headers: { "x-fragment": "main", accept: "text/html" }, redirect: "manual", signal });
  if (response.type === "opaqueredirect") {
    showConnection("You are signed out. Reload the page to sign in.");
    return false;
  }
  const next = mainOf(new DOMParser().parseFromString(await response.text(), "text/html"));
  const main = mainOf(document);
  if (next === null || main === null) throw new Error(`HTTP status ${response.status}`);
  const focused = document.activeElement;
  update(main, next);
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
    showConnection("");
  } catch {
    failures += 1;
    showConnection(`Not up to date since ${lastAt.toISOString().slice(11, 19)} UTC. Retrying.`);
  }
  wait();
}

function wait() {
  const seconds = Number(mainOf(document)?.dataset["refresh"] ?? 0);
  if (seconds > 0) timer = setTimeout(() => void tick(), Math.min(MAX_WAIT_MS, seconds * MS_PER_SECOND * 2 ** failures));
}

// A hidden page sends no requests. It refreshes when it becomes visible again.
document.addEventListener("visibilitychange", () => {
  if (!document.hidden && mainOf(document)?.dataset["refresh"] !== undefined) void tick();
});

wait();
