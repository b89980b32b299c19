/**
 * Gives every style element that a library creates at run time the nonce of this page.
 *
 * It must be the first import of the program: libraries that create a style element before it would be refused by the
 * page's policy, and the page would then be usable but unstyled, without any error.
 */
export const nonce: string | undefined =
  document.querySelector<HTMLMetaElement>('meta[property=csp-nonce]')?.nonce || undefined

if (nonce) {
  const create = Document.prototype.createElement
  Document.prototype.createElement = function (this: Document, ...args: Parameters<Document['createElement']>) {
    const element = create.apply(this, args)
    if (element instanceof HTMLStyleElement) element.nonce = nonce
    return element
  } as Document['createElement']
}
