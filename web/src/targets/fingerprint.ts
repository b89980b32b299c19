/** The SHA-256 fingerprint of an OpenSSH public key line, as `ssh-keygen -l` prints it; undefined for anything else. */
export async function fingerprintOf(line: string): Promise<string | undefined> {
  const blob = line.trim().split(/\s+/).find((part) => part.startsWith('AAAA'))
  if (!blob || !window.isSecureContext) return undefined
  let bytes: Uint8Array<ArrayBuffer>
  try {
    bytes = Uint8Array.from(atob(blob), (letter) => letter.charCodeAt(0))
  } catch {
    return undefined
  }
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes))
  return 'SHA256:' + btoa(String.fromCharCode(...digest)).replace(/=+$/, '')
}
