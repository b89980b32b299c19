/**
 * The engineer's terminal as it was written to, for eyes only: nothing typed here goes anywhere, and what the target
 * wrote can neither open a link nor reach the clipboard.
 */
import { Terminal } from '@xterm/xterm'
import '@xterm/xterm/css/xterm.css'
import { useEffect, useImperativeHandle, useRef, type Ref } from 'react'

export interface ScreenHandle {
  clear: () => void
  write: (bytes: Uint8Array) => void
  resize: (columns: number, rows: number) => void
  /** Resolves when not much of what was written is still to be drawn. */
  ready: () => Promise<void>
}

const FONT =
  'ui-monospace, "SF Mono", "Cascadia Mono", Menlo, Consolas, "DejaVu Sans Mono", "Noto Sans Mono CJK SC", monospace'
const [COLUMNS, ROWS] = [80, 24]
const [SMALLEST, LARGEST] = [8, 15]
const MOST_WAITING_BYTES = 1 << 19
const SCROLLBACK_LINES = 5_000

export function Screen({ ref, label }: { ref: Ref<ScreenHandle>; label: string }) {
  const frame = useRef<HTMLDivElement>(null)
  const terminal = useRef<Terminal>(undefined)
  const waiting = useRef(0)

  useEffect(() => {
    const box = frame.current
    if (!box) return
    const made = new Terminal({
      cols: COLUMNS,
      rows: ROWS,
      disableStdin: true,
      cursorInactiveStyle: 'block',
      fontFamily: FONT,
      fontSize: LARGEST,
      scrollback: SCROLLBACK_LINES,
      linkHandler: { activate: () => undefined },
      theme: { background: '#121314', foreground: '#d8dcde' },
    })
    // Keys are the page's: the terminal would keep Tab for itself.
    made.attachCustomKeyEventHandler(() => false)
    made.open(box)
    terminal.current = made
    const fit = () => {
      made.options.fontSize = fittingSize(box.clientWidth, made.cols)
    }
    fit()
    const observer = new ResizeObserver(fit)
    observer.observe(box)
    const resized = made.onResize(fit)
    return () => {
      observer.disconnect()
      resized.dispose()
      made.dispose()
      terminal.current = undefined
    }
  }, [])

  useImperativeHandle(
    ref,
    () => ({
      clear: () => {
        terminal.current?.reset()
        terminal.current?.resize(COLUMNS, ROWS)
      },
      write: (bytes) => {
        waiting.current += bytes.length
        terminal.current?.write(bytes, () => {
          waiting.current -= bytes.length
        })
      },
      resize: (columns, rows) => {
        // In its place among what is written.
        terminal.current?.write('', () => terminal.current?.resize(columns, rows))
      },
      ready: async () => {
        if (waiting.current > MOST_WAITING_BYTES) {
          await new Promise<void>((drawn) => terminal.current?.write('', drawn))
        }
      },
    }),
    [],
  )
  return <div className="screen" ref={frame} role="region" aria-label={label} tabIndex={0} />
}

/** The largest font with which so many columns fit, in half pixels; narrower than the smallest the frame scrolls. */
function fittingSize(width: number, columns: number): number {
  const context = document.createElement('canvas').getContext('2d')
  if (!context || width === 0) return LARGEST
  context.font = `100px ${FONT}`
  const wanted = (width - 20) / columns / (context.measureText('W').width / 100)
  return Math.max(SMALLEST, Math.min(LARGEST, Math.floor(wanted * 2) / 2))
}
