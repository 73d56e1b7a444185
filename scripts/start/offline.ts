/** Import this before wrangler. It turns off network access and files in the user's home folder. */
process.env["CLOUDFLARE_CF_FETCH_ENABLED"] ??= "false";
process.env["WRANGLER_SEND_METRICS"] ??= "false";
process.env["WRANGLER_WRITE_LOGS"] ??= "false";
