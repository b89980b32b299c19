// The times of a recording: shortened idle time, and the way between what is shown and what happened.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { UnreadableCast, readCast, shorten } from '../src/recordings/timeline.ts'

const events = (...times) => times.map((at) => [at, 'o', String(at)])

test('silences longer than the limit are shortened to it, and only these', () => {
  const line = shorten(events(100, 1_000, 61_000, 61_500, 200_000), 2_000)
  assert.deepEqual(line.events.map(([at]) => at), [100, 1_000, 3_000, 3_500, 5_500])
  assert.equal(line.skipped, 200_000 - 5_500)
  assert.equal(line.length, 5_500)
})

test('nothing is left out without a limit', () => {
  const line = shorten(events(0, 90_000), Infinity)
  assert.equal(line.skipped, 0)
  assert.equal(line.toShown(45_000), 45_000)
})

test('every event is found at its own moment again, whatever the silences are', () => {
  let seed = 7
  const random = () => (seed = (seed * 48_271) % 2_147_483_647) / 2_147_483_647
  for (let round = 0; round < 50; round += 1) {
    let at = 0
    const times = Array.from({ length: 60 }, () => (at += Math.round(random() ** 6 * 400_000)))
    const line = shorten(events(...times), 2_000)
    times.forEach((raw, index) => {
      assert.equal(line.toShown(raw), line.events[index][0])
      assert.equal(line.toRaw(line.toShown(raw)) >= raw, true)
      assert.equal(line.toShown(line.toRaw(line.toShown(raw))), line.toShown(raw))
    })
    for (let raw = 0; raw < at; raw += 997) {
      assert.equal(line.toShown(raw + 997) >= line.toShown(raw), true)
    }
  }
})

test('a moment inside a shortened silence lies between its ends', () => {
  const line = shorten(events(1_000, 61_000), 2_000)
  assert.equal(line.toShown(1_500), 1_500)
  assert.equal(line.toShown(30_000), 3_000)
  assert.equal(line.toRaw(3_000), 61_000)
})

test('only output and sizes are read from a cast, in whole milliseconds', () => {
  const cast = readCast(
    '{"version":2,"width":100,"height":30,"timestamp":1700000000}\n[0.1234,"o","a"]\n[0.2,"i","b"]\n[1,"m","c"]\n[2,"r","80x24"]\n',
  )
  assert.deepEqual(cast, { width: 100, height: 30, startedAt: 1_700_000_000_000, events: [[123, 'o', 'a'], [2_000, 'r', '80x24']] })
})

test('what is no cast is refused', () => {
  for (const text of ['', '{"version":3}', '{"version":2}\nnot json', '{"version":2}\n{"a":1}']) {
    assert.throws(() => readCast(text), UnreadableCast)
  }
})
