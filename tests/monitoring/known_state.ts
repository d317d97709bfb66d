/** A state of the scanners that tests of monitoring know, with sources that are hard to write. */

const ANY_SCAN = {
  result: "ok",
  updates: 3,
  security: 2,
  duration_ms: 1_500,
  error: null,
};

/** The text of `last-scans.json`, of a scan an hour ago. */
export const ODD_SCANS: string = JSON.stringify({
  schema: "pennon.last-scans/1",
  scanners: {
    apt: {
      ...ANY_SCAN,
      scanned_at: hoursAgo(1),
      listed_at: hoursAgo(1),
      reboot: { required: true, reason: "a new kernel" },
      counts: [
        { state: "upgradable", severity: "important", security: true, count: 2 },
        { state: "held", severity: null, security: null, count: 1 },
      ],
      sources: [
        { name: 'a "quoted" \\ name', result: "ok", lists_at: hoursAgo(3) },
        {
          name: "https://deb.example/debian stable/main \u00e4\u{1f4e6}",
          result: "old",
          lists_at: hoursAgo(200),
        },
      ],
      more_sources: 0,
    },
  },
});

function hoursAgo(hours: number): string {
  return new Date(Date.now() - hours * 3_600_000).toISOString();
}
