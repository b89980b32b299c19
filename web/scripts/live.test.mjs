// A watch of a live session: its events however they were split, every frame once, looking back within bounds.
import assert from 'node:assert/strict'
import { test } from 'node:test'

import { Film, forward } from '../src/sessions/film.ts'
import { Projector, bestChannel } from '../src/sessions/projector.ts'
import { EventReader, afterEnd, patience } from '../src/sessions/stream.ts'

const bytes = (text) => new TextEncoder().encode(text)
const output = (n, text, { at = n * 100, channel = 1 } = {}) => ({
  n,
  at_ms: at,
  channel,
  kind: 'output',
  data_b64: Buffer.from(text).toString('base64'),
})
const shell = (n, channel = 1) => ({ n, at_ms: n * 100, channel, kind: 'shell', text: '' })
const resize = (n, width, height) => ({ n, at_ms: n * 100, channel: 1, kind: 'resize', width, height })

class Paper {
  text = ''
  clear() {
    this.text = ''
  }
  write(data) {
    this.text += new TextDecoder().decode(data)
  }
  resize(columns, rows) {
    this.text += `<${columns}x${rows}>`
  }
}

test('events are read whole wherever the answer was split, also within a character', () => {
  const whole = bytes(
    'retry: 1000\nevent: start\ndata: {"after_frame":3}\n\n' +
      'event: frames\nid: 5\ndata: {"frames":[{"n":5,"at_ms":1,"channel":1,"kind":"note","note":{"text":"停"}}]}\n\n' +
      'event: end\ndata: {"reason":"fell_behind"}\n\n',
  )
  for (let size = 1; size < whole.length; size += 1) {
    const reader = new EventReader()
    const events = []
    for (let at = 0; at < whole.length; at += size) events.push(...reader.feed(whole.subarray(at, at + size)))
    assert.deepEqual(events.map((event) => event.name), ['start', 'frames', 'end'])
    assert.equal(events[0].lastFrame, 3)
    assert.equal(events[1].frames[0].note.text, '停')
    assert.equal(events[2].reason, 'fell_behind')
  }
})

test('only the end of the session is final; a viewer who was left behind joins again', () => {
  assert.equal(afterEnd('session_ended'), 'over')
  assert.equal(afterEnd('signed_out'), 'signed_out')
  for (const reason of ['fell_behind', 'lost', 'viewer_silent', 'gap', 'sessions.gateway_silent']) {
    assert.equal(afterEnd(reason), 'rejoin')
  }
  assert.deepEqual([0, 1, 2, 9].map(patience), [0, 500, 1_000, 10_000])
})

test('a frame that comes twice is taken once', () => {
  const film = new Film()
  film.take([shell(1), output(2, 'a'), output(3, 'b')])
  film.take([output(2, 'a'), output(3, 'b'), output(6, 'c')])
  film.passed(9)
  film.take([output(8, 'd'), output(10, 'e')])
  const paper = new Paper()
  new Projector(film, paper).show(1, film.end)
  assert.equal(paper.text, 'abce')
  assert.equal(film.last, 10)
})

test('the screen is brought forward by what is new, and back by beginning anew', () => {
  const film = new Film()
  film.take([shell(1), resize(2, 100, 30), output(3, 'one '), output(4, 'two '), output(5, 'three ')])
  const paper = new Paper()
  const projector = new Projector(film, paper)
  projector.show(1, film.end)
  assert.equal(paper.text, '<100x30>one two three ')
  projector.show(1, film.indexAt(350))
  assert.equal(paper.text, '<100x30>one ')
  film.take([output(6, 'four')])
  projector.show(1, film.end)
  assert.equal(paper.text, '<100x30>one two three four')
})

test('each channel has a picture of its own, and the youngest open terminal is looked at', () => {
  const film = new Film()
  film.take([shell(1, 1), output(2, 'first', { channel: 1 })])
  assert.equal(bestChannel(film), 1)
  film.take([shell(3, 2), output(4, 'second', { channel: 2 }), { ...shell(5, 3), kind: 'subsystem', text: 'sftp' }])
  assert.equal(bestChannel(film), 2)
  const paper = new Paper()
  const projector = new Projector(film, paper)
  projector.show(2, film.end)
  assert.equal(paper.text, 'second')
  projector.show(1, film.end)
  assert.equal(paper.text, 'first')
  film.take([{ n: 6, at_ms: 700, channel: 2, kind: 'exit', text: '0' }])
  assert.equal(bestChannel(film), 1)
})

test('memory is bounded: the oldest go, and positions stay true', () => {
  const film = new Film(10_000, 1_000)
  film.take([shell(1)])
  for (let n = 2; n <= 400; n += 1) film.take([output(n, 'x'.repeat(100))])
  assert.ok(film.base > 0)
  assert.ok(film.shots.length < 100)
  assert.equal(film.end, 399)
  assert.equal(film.from, film.shots[0].at)
  const paper = new Paper()
  const projector = new Projector(film, paper)
  projector.show(1, film.end)
  assert.equal(paper.text.length, film.shots.length * 100)
  film.take([output(401, 'last')])
  projector.show(1, film.end)
  assert.ok(paper.text.endsWith('xlast'))
})

test('playing passes time and shortens silence', () => {
  const film = new Film()
  film.take([shell(1), output(2, 'a', { at: 100 }), output(3, 'b', { at: 60_000 })])
  assert.equal(forward(film, 0, 50, 2_000), 50)
  assert.equal(forward(film, 100, 50, 2_000), 58_000)
  assert.equal(forward(film, 60_000, 50, 2_000), 60_000)
})

test('commands and notes stand in the list as the recording has them', () => {
  const film = new Film()
  film.take([
    { n: 1, at_ms: 5, channel: 1, kind: 'exec', text: 'uptime' },
    { n: 2, at_ms: 6, channel: 1, kind: 'note', note: { kind: 'blocked', command: 'rm -rf /', rule_id: 'r1' } },
    { n: 3, at_ms: 7, channel: 0, kind: 'note', note: {} },
  ])
  assert.deepEqual(film.moments, [
    { at_ms: 5, kind: 'exec', text: 'uptime', rule_id: null },
    { at_ms: 6, kind: 'blocked', text: 'rm -rf /', rule_id: 'r1' },
    { at_ms: 7, kind: 'note', text: '', rule_id: null },
  ])
})
