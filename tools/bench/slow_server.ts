/**
 * A server that takes a while for each answer and has no rate limits; for `drain.ts`, in a process of
 * its own. The first check-in is answered with a heartbeat of an hour. `GET /figures` tells what came.
 *
 * Arguments: milliseconds until an answer. Prints its port.
 */

/** What has come so far. Instants are the server's own, in ms. */
export interface Figures {
  readonly reports: number;
  readonly checkInsMs: readonly number[];
}

if (import.meta.main) {
  const delayMs = Number(Deno.args[0]);
  let reports = 0;
  const checkInsMs: number[] = [];

  const answer = (path: string): unknown => {
    if (path === "/health") return { status: "healthy" };
    if (path.endsWith("/register")) {
      const config = { check_in_interval: 300, server_url: "" };
      return { agent_id: crypto.randomUUID(), token: "access", refresh_token: "refresh", config };
    }
    if (path.endsWith("/commands")) {
      checkInsMs.push(performance.now());
      const params = { duration_minutes: 60 };
      const heartbeat = { id: crypto.randomUUID(), type: "enable_heartbeat", params };
      return { commands: checkInsMs.length === 1 ? [heartbeat] : [] };
    }
    reports += 1;
    return { message: "stored" };
  };

  Deno.serve({
    port: 0,
    hostname: "127.0.0.1",
    onListen: ({ port }) => console.log(port),
  }, async (request) => {
    const { pathname } = new URL(request.url);
    if (pathname === "/figures") return Response.json({ reports, checkInsMs } satisfies Figures);
    await request.body?.cancel();
    await new Promise((resolve) => setTimeout(resolve, delayMs));
    return Response.json(answer(pathname));
  });
}
