/** A fake Telegram API. */

export const TELEGRAM = {
  TELEGRAM_BOT_TOKEN: "123456789:AAtesttokentesttokentesttoken",
  TELEGRAM_CHAT_ID: "-42",
  TELEGRAM_API_URL: "http://telegram.test",
};

function textOf(form: FormData): string {
  const text = form.get("text");
  return typeof text === "string" ? text : "";
}

export function telegram() {
  const messages: string[] = [];
  let files = 0;
  const answer = async (request: Request): Promise<Response> => {
    const form = await request.formData();
    if (request.url.endsWith("/sendMessage")) messages.push(textOf(form));
    files += 1;
    const result = request.url.endsWith("/sendDocument")
      ? { message_id: files, document: { file_id: `file-${files}` } }
      : { message_id: files };
    return Response.json({ ok: true, result });
  };
  return { messages, answer };
}
