/** What the executable tells V8 of itself: it stays for months and has next to nothing to do. */

/** As `deno compile` and `deno run` take them. Deno 2.6.8's V8, 14.5, heeds each. */
export const V8_FLAGS = "--v8-flags=" + [
  // Memory counts more than speed.
  "--max-semi-space-size=1",
  // Threads that help to collect and to compile have to wait for a core where a package manager
  // has them all, and are waited for: collecting 0.5 MB took up to 9 ms instead of 1.
  "--single-threaded",
  // In MB. Else the whole heap of 8 MB is collected in the middle of a scan, which takes 10 ms.
  "--initial-heap-size=16",
  // Else the parser of HTTP is compiled anew, on the thread that uses it, once a long answer has made
  // it hot: 60 ms at once on Deno 2.9.6.
  "--liftoff-only",
].join();
