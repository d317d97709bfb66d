/** The WebAssembly module of llhttp, as `undici` carries it. */
declare module "llhttp" {
  const wasm: Uint8Array<ArrayBuffer>;
  export default wasm;
}
