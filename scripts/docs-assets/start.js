/** Starts the viewer of /docs. A file of its own because the page's policy allows no inline script. */
const dark = matchMedia("(prefers-color-scheme: dark)");
const applyTheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", applyTheme);
applyTheme();

// The viewer's script, loaded before this one, leaves its function here.
const { SwaggerUIBundle } = /** @type {{ SwaggerUIBundle: (options: object) => void }} */ (/** @type {unknown} */ (globalThis));

SwaggerUIBundle({
  dom_id: "#viewer",
  url: "/openapi.json",
  deepLinking: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
});
