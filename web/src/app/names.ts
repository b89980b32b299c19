/** A thing named by the server: a plain name, or an object with one. */
export type Named = string | { name?: string; display_name?: string } | null | undefined

export function nameOf(thing: Named): string {
  if (!thing) return '–'
  if (typeof thing === 'string') return thing
  return thing.display_name || thing.name || '–'
}
