/** `npm run test:soak`: the same tests at full length, for those who can wait an hour. */
export const SOAK = process.env["SOAK"] === "true";
