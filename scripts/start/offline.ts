/** Imported before wrangler: nothing here needs the network or leaves files in the user's home. */
process.env["CLOUDFLARE_CF_FETCH_ENABLED"] ??= "false";
process.env["WRANGLER_SEND_METRICS"] ??= "false";
process.env["WRANGLER_WRITE_LOGS"] ??= "false";
