/**
 * What stands around every script for PowerShell: it makes errors values, and the answer immune to
 * code pages, line widths and whatever else is printed.
 */

/** Around the answer, which is base64 of UTF-8 of JSON: nothing but ASCII leaves PowerShell. */
export const BEGIN = "<<<BEGIN>>>";
export const END = "<<<END>>>";

/** Where only constrained language is allowed, even base64 cannot be made; this is made before. */
const CONSTRAINED = btoa(JSON.stringify({ constrained: true }));

/**
 * `script` within the frame.
 *
 * A script leaves its answer in `$answer`, a hashtable; what it prints is dropped. Every error ends
 * it (`$ErrorActionPreference` is `Stop`), and one that it does not catch is the answer
 * `{"error": {"hresult", "type", "message", "line"}}`; `Get-Failure $_` makes the same of one that it
 * does catch. Values deeper than eight levels are told as text. It speaks PowerShell 5.1, and ASCII.
 */
export function frameScript(script: string): string {
  // Written so that an echo of the script is not taken for an answer.
  const [begin, end] = [BEGIN, END].map((marker) => `'${marker.slice(0, 5)}'+'${marker.slice(5)}'`);
  return `$ErrorActionPreference='Stop'
$ProgressPreference='SilentlyContinue'
$WarningPreference='SilentlyContinue'
if("$($ExecutionContext.SessionState.LanguageMode)" -ne 'FullLanguage'){
(${begin})
'${CONSTRAINED}'
(${end})
exit}
function Get-Failure($Record){
$e=$Record.Exception
while($e.InnerException){$e=$e.InnerException}
[ordered]@{hresult='0x{0:X8}' -f $e.HResult
type=$e.GetType().FullName
message=[string]$e.Message
line=[int]$Record.InvocationInfo.ScriptLineNumber}}
$answer=$null
try{$null=. {
${script}
}}catch{$answer=@{error=Get-Failure $_}}
$json=ConvertTo-Json -InputObject $answer -Depth 8 -Compress
$text=[Convert]::ToBase64String([Text.Encoding]::UTF8.GetBytes($json))
[Console]::Out.Write("\`n"+${begin}+"\`n"+$text+"\`n"+${end}+"\`n")
`;
}
