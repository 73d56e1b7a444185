/** The product's version, used in the API document and in backups. */
export const VERSION = "1.0.0";
