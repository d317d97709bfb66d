/** What the demo prints: a line an event, with the time since the start and who speaks. */

/** Who says a line. */
export type Speaker = "demo" | "server" | "agent";

/** An agent's log line, as `--log-format json` writes it. */
export type AgentLine = Readonly<Record<string, unknown>> & { readonly message: string };

export class Timeline {
  readonly #startedMs = performance.now();

  get elapsedS(): number {
    return (performance.now() - this.#startedMs) / 1_000;
  }

  say(speaker: Speaker, text: string): void {
    const time = this.elapsedS.toFixed(1).padStart(5);
    console.log(`${time} s  ${speaker.padEnd(7)} ${text}`);
  }

  /** A heading between two parts of the story. */
  chapter(title: string): void {
    console.log(`\n--- ${title} ---`);
  }
}

/** Fields that are the demo's own noise, or stand in the line already. */
const HIDDEN = new Set(["time", "level", "code", "message", "id", "agent", "version", "path"]);

/** An agent's log line in the demo's words: "connection breaker opened (why: refused, …)". */
export function describeLine(line: AgentLine): string {
  const fields = Object.entries(line)
    .filter(([name]) => !HIDDEN.has(name))
    .map(([name, value]) => `${name}=${typeof value === "string" ? value : JSON.stringify(value)}`);
  return fields.length === 0 ? line.message : `${line.message}: ${fields.join(", ")}`;
}

/** Reads an agent's line; `undefined` if it is not one of its log. */
export function readAgentLine(line: string): AgentLine | undefined {
  try {
    const json: unknown = JSON.parse(line);
    return typeof (json as AgentLine | null)?.message === "string" ? json as AgentLine : undefined;
  } catch {
    return undefined;
  }
}
