/** Starts the viewer of /docs. A separate file, because the page's policy forbids inline scripts. */
const dark = matchMedia("(prefers-color-scheme: dark)");
const applyTheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", applyTheme);
applyTheme();

// Set by the viewer's script, which the page loads first.
const { SwaggerUIBundle } = /** @type {{ SwaggerUIBundle: (options: object) => void }} */ (/** @type {unknown} */ (globalThis));

SwaggerUIBundle({
  dom_id: "#viewer",
  url: "/openapi.json",
  deepLinking: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
});
