/** Of the product: in the API's document, and in what outlives it. */
export const VERSION = "1.0.0";
