// Checks the user texts: same keys and parameters in both languages, each key in its domain's file, every key that the
// code asks for exists, every key is used, and no user text stands in the code itself.
import { readdirSync, readFileSync } from 'node:fs'
import { join, relative } from 'node:path'

const root = new URL('../src/', import.meta.url).pathname
const faults = []
const say = (file, text) => faults.push(`${relative(root, file)}: ${text}`)

const files = readdirSync(root, { recursive: true }).map((name) => join(root, name))
const read = (name) => JSON.parse(readFileSync(name, 'utf8'))
const holes = (text) => (text.match(/\{\w+\}/g) ?? []).sort().join()

const keys = new Map()
for (const name of files.filter((file) => file.endsWith('texts.en.json'))) {
  const other = name.replace('.en.', '.zh-CN.')
  const en = read(name)
  const zh = read(other)
  const domain = relative(root, name).split('/')[0]
  for (const key of Object.keys(en)) {
    if (!key.startsWith(`${domain}.`)) say(name, `${key} does not belong here`)
    if (keys.has(key)) say(name, `${key} stands twice`)
    if (typeof en[key] !== 'string' || en[key].trim() === '') say(name, `${key} is empty`)
    if (typeof zh[key] !== 'string' || zh[key].trim() === '') say(other, `${key} is missing`)
    else if (holes(en[key]) !== holes(zh[key])) say(other, `${key} has other parameters`)
    keys.set(key, name)
  }
  for (const key of Object.keys(zh)) if (!(key in en)) say(other, `${key} is not in English`)
}

const used = new Set()
const prefixes = new Set()
const kinds = new Set(['problem', 'notice'])
const sources = files.filter((file) => /\.tsx?$/.test(file) && !file.includes('/generated/'))
for (const name of sources) {
  const text = readFileSync(name, 'utf8')
  for (const [, key] of text.matchAll(/['"]([a-z_]+\.[a-z0-9_.]+)['"]/g)) {
    if (keys.has(key)) used.add(key)
  }
  for (const [, key] of text.matchAll(/\bt\(\s*['"]([^'"]+)['"]/g)) {
    if (!keys.has(key)) say(name, `no text for ${key}`)
  }
  for (const [, prefix] of text.matchAll(/\b(?:tCode\(\s*|of=)['"]([^'"]+)['"]/g)) prefixes.add(`${prefix}.`)
  const code = text.replace(/\/\*[\s\S]*?\*\//g, '').replace(/^\s*\/\/.*$/gm, '')
  if (/[\u3400-\u9fff]/.test(code)) say(name, 'Chinese text in the code')
  for (const [, words] of code.matchAll(/>\s*([A-Z][a-z]+(?: [a-z]+)+)[^<>{}]*</g)) say(name, `text in the code: ${words}`)
  for (const [, words] of code.matchAll(/\b(?:title|label|placeholder|aria-label|alt)="([^"]*[A-Za-z]{3}[^"]*)"/g)) {
    say(name, `text in the code: ${words}`)
  }
  const lines = text.split('\n').length
  if (lines > 320) say(name, `${lines} lines are too many`)
}
for (const prefix of prefixes) {
  if (![...keys.keys()].some((key) => key.startsWith(prefix))) faults.push(`no text begins with ${prefix}`)
}
for (const [key, name] of keys) {
  const byCode = [...prefixes].some((prefix) => key.startsWith(prefix)) || kinds.has(key.split('.')[1])
  if (!used.has(key) && !byCode) say(name, `${key} is never used`)
}

if (faults.length > 0) {
  console.error(faults.join('\n'))
  process.exit(1)
}
console.log(`texts: ${keys.size} keys in two languages`)
