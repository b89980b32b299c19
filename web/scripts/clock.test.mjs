// The player's two times agree with each other, and with the server's mapping (tests/unit/recorder/test_keyframes.py).
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { clockOf } from '../src/recordings/clock.ts'

test('silences are shortened and both directions agree', () => {
  const clock = clockOf(
    [
      [10_000, 60_000],
      [100_000, 1_500],
    ],
    2_000,
  )
  assert.equal(clock.toShown(11_000), 11_000)
  assert.equal(clock.toShown(50_000), 12_000)
  assert.equal(clock.toShown(70_000), 12_000)
  assert.equal(clock.toRaw(12_000), 70_000)
  assert.equal(clock.toShown(101_500), 43_500)
  assert.equal(clock.toRaw(43_500), 101_500)
})

test('nothing is shortened without a limit', () => {
  const clock = clockOf([[0, 1e9]], Infinity)
  assert.equal(clock.toShown(5e8), 5e8)
  assert.equal(clock.toRaw(5e8), 5e8)
})
