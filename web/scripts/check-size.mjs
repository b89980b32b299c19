// Keeps the first load small: the entry with everything it imports at once, compressed, and the approvals page with it.
import { readFileSync, readdirSync } from 'node:fs'
import { gzipSync } from 'node:zlib'

const MOST_KILOBYTES = 330
const assets = new URL('../dist/assets/', import.meta.url).pathname
const html = readFileSync(new URL('../dist/index.html', import.meta.url), 'utf8')

if (/src="data:|href="data:|https?:\/\//.test(html)) {
  console.error('index.html names something outside of itself')
  process.exit(1)
}
const first = [...html.matchAll(/assets\/([\w.-]+\.(?:js|css))/g)].map((found) => found[1])
const page = readdirSync(assets).filter((name) => name.startsWith('ApprovalsPage'))
const all = new Set([...first, ...page])
for (const name of all) {
  if (!name.endsWith('.js')) continue
  for (const found of readFileSync(assets + name, 'utf8').matchAll(/from\s*"\.\/([\w.-]+\.js)"/g)) all.add(found[1])
}
const kilobytes = [...all].reduce((sum, name) => sum + gzipSync(readFileSync(assets + name)).length, 0) / 1024
console.log(`first load: ${kilobytes.toFixed(0)} kB compressed (at most ${MOST_KILOBYTES})`)
if (kilobytes > MOST_KILOBYTES) process.exit(1)
