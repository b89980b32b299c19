// The console's player's own terminal, without a browser. One line of JSON in, one out:
//   in:  {columns, rows, steps: [["o", text] | ["r", columns, rows] | ["look"]]}
//   out: [{size, lines, cursor, drawn}] for each "look"; `cursor` is [column, row], null when hidden; `drawn` is all that
//        the player would draw, colours and styles too.
import { readdirSync, readFileSync } from 'node:fs'
import { createInterface } from 'node:readline'

const folder = process.argv[2]

// The package exports no terminal, yet that part of its bundle runs by itself.
function terminalSource() {
  for (const name of readdirSync(folder).filter((one) => one.startsWith('opts-'))) {
    const text = readFileSync(`${folder}/${name}`, 'utf8')
    const begin = text.indexOf('let wasm;')
    const end = text.indexOf('\nclass Vt {')
    const kept = /wasm\.create\(cols, rows, (\d+),/.exec(text)
    if (begin < 0 || end < begin || !kept) continue
    return `${text.slice(begin, end)}\nexport { vt, memory }\nexport const kept = ${kept[1]}`
  }
  throw new Error(`no terminal in ${folder}: the player's bundle has changed and this reader must follow it`)
}

const player = await import(`data:text/javascript,${encodeURIComponent(terminalSource())}`)
const terminals = await player.vt
const memory = await player.memory

const COLOUR_BYTES = [1, 1, 1, 2, 4]

function read([at, length], size, fields) {
  const view = new DataView(memory.buffer, at, length * size)
  return Array.from({ length }, (_, n) =>
    fields.map(([kind, offset]) => {
      const from = n * size + offset
      if (kind === 'u8') return view.getUint8(from)
      if (kind === 'u16') return view.getUint16(from, true)
      if (kind === 'u32') return view.getUint32(from, true)
      const bytes = COLOUR_BYTES[view.getUint8(from)]
      return Buffer.from(memory.buffer, at + from, bytes).toString('hex')
    }),
  )
}

function drawn(line) {
  return {
    ground: read(line.bg, 8, [['u16', 0], ['u16', 2], ['colour', 4]]),
    text: read(line.text, 12, [['u16', 0], ['u16', 2], ['u16', 4], ['colour', 6], ['u8', 10]]),
    blocks: read(line.raster_symbols, 12, [['u16', 0], ['u32', 4], ['colour', 8]]),
    shapes: read(line.vector_symbols, 16, [['u16', 0], ['u32', 4], ['colour', 8], ['u8', 12]]),
  }
}

// The characters of a row; those that are drawn as pictures stand as blanks in the player's own text.
function characters(line, { text, blocks, shapes }) {
  const points = read(line.codepoints, 4, [['u32', 0]]).map(([point]) => point)
  for (const [column, point] of [...blocks, ...shapes]) {
    const [from, start] = text.findLast(([first]) => first <= column)
    points[start + column - from] = point
  }
  return String.fromCodePoint(...points)
}

function look(terminal) {
  const [columns, rows] = terminal.getSize()
  const seen = Array.from({ length: rows }, (_, row) => {
    const line = terminal.getLine(row, false)
    const spans = drawn(line)
    return [characters(line, spans), spans]
  })
  return { size: [columns, rows], lines: seen.map(([text]) => text), cursor: terminal.getCursor() ?? null, drawn: seen }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { columns, rows, steps } = JSON.parse(line)
  const terminal = terminals.create(columns, rows, player.kept, false)
  const seen = []
  for (const [kind, ...values] of steps) {
    if (kind === 'o') terminal.feed(values[0])
    else if (kind === 'r') terminal.resize(...values)
    else seen.push(look(terminal))
  }
  terminal.free()
  process.stdout.write(`${JSON.stringify(seen)}\n`)
}
