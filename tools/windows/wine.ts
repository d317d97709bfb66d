/** Where things are in the Windows place, and the environment that programs have there. */

/** Below the place's root. */
export const HOME = "/opt/pennon";

export const WINE = "/usr/lib/wine/wine64";
export const WINE_SERVER = "/usr/lib/wine/wineserver64";
export const DENO_VERSION = "2.9.6";
/** Its name says the version, so that a place that is kept between runs gets another one. */
export const DENO = `${HOME}/deno-${DENO_VERSION}.exe`;
export const STAND_IN = `${HOME}/stand_in.exe`;
export const DENO_CACHE = `${HOME}/cache`;
export const PREFIX = `${HOME}/prefix`;

/** For every program there; `registry`: the npm registry that this host uses. */
export function wineEnvironment(registry: string): Record<string, string> {
  return {
    HOME: "/root",
    // Names of files are UTF-8 on the Unix side.
    LC_ALL: "C.UTF-8",
    WINEPREFIX: PREFIX,
    WINEDEBUG: "-all",
    // No window comes; Wine complains without a folder for them.
    XDG_RUNTIME_DIR: "/tmp",
    NO_COLOR: "1",
    NPM_CONFIG_REGISTRY: registry,
    DENO_DIR: windowsPath(DENO_CACHE),
    DENO_NO_UPDATE_CHECK: "1",
    PENNON_STAND_IN: windowsPath(STAND_IN),
    // enter.sh makes room there for a PowerShell that is played.
    PENNON_PLAYED_WINDOWS: "C:\\windows",
  };
}

/** Wine shows the whole of the Unix side as drive Z. */
export function windowsPath(path: string): string {
  return `Z:${path.replaceAll("/", "\\")}`;
}
