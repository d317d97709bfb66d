/** Makes a text from outside safe to print. Pure. */

/** What comes from outside must not be able to steer the terminal. */
export function plain(text: string): string {
  // deno-lint-ignore no-control-regex
  return text.replace(/[\u0000-\u001f\u007f-\u009f]/g, "");
}
