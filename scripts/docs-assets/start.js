// @ts-nocheck -- This one file runs in the browser, whose types would reach every script if they were loaded.
// Starts the viewer of /docs. A file of its own because the page's policy allows no inline script.
const dark = matchMedia("(prefers-color-scheme: dark)");
const applyTheme = () => document.documentElement.classList.toggle("dark-mode", dark.matches);
dark.addEventListener("change", applyTheme);
applyTheme();

SwaggerUIBundle({
  dom_id: "#viewer",
  url: "/openapi.json",
  deepLinking: true,
  persistAuthorization: true,
  tryItOutEnabled: true,
});
