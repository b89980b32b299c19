/** The console's few pictures, drawn here: no icon font, no emoji. Each stands beside a word. */
const paths = {
  approvals: 'M9 11.5l2.2 2.2L15.5 9M12 3l7 3v5.5c0 4.3-2.9 7.6-7 9.5-4.1-1.9-7-5.2-7-9.5V6z',
  devices: 'M5 5h14v10H5zM3 19h18M9 15v4M15 15v4',
  people: 'M9 11a3.5 3.5 0 1 0 0-7 3.5 3.5 0 0 0 0 7zM3 20c0-3.3 2.7-6 6-6s6 2.7 6 6M16 4.5a3.5 3.5 0 0 1 0 6.3M17.5 14.4A6 6 0 0 1 21 20',
  targets: 'M4 5h16v6H4zM4 13h16v6H4zM7.5 8h.01M7.5 16h.01M11 8h6M11 16h6',
  grants: 'M8 14a4 4 0 1 1 3.8-5.2L20 9v3h-2v3h-3v-3h-3.2A4 4 0 0 1 8 14zM8 10h.01',
  sessions: 'M4 5h16v14H4zM7.5 9.5l3 2.5-3 2.5M13 15h4',
  archive: 'M4 5h16v4H4zM5.5 9v10h13V9M10 12.5h4',
  audit: 'M6 3h9l4 4v14H6zM15 3v4h4M9 12h7M9 16h7',
  health: 'M3 12h4l2.5-6 4.5 12 2.5-6H21',
  search: 'M10.5 17a6.5 6.5 0 1 0 0-13 6.5 6.5 0 0 0 0 13zM15.5 15.5L20 20',
  menu: 'M4 7h16M4 12h16M4 17h16',
  more: 'M5 12h.01M12 12h.01M19 12h.01',
  back: 'M15 5l-7 7 7 7',
  copy: 'M9 9h11v11H9zM15 9V4H4v11h5',
  download: 'M12 4v11M7.5 11L12 15.5 16.5 11M5 20h14',
  warning: 'M12 4l9.5 16h-19zM12 10v4.5M12 17.5h.01',
  blocked: 'M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18zM6 6l12 12',
  check: 'M5 12.5l4.5 4.5L19 7.5',
  play: 'M8 5.5v13l10.5-6.5z',
  pause: 'M9 6v12M15 6v12',
  begin: 'M6 5v14M19 6v12l-9-6z',
  live: 'M12 14a2 2 0 1 0 0-4 2 2 0 0 0 0 4zM7.5 16.5a6.4 6.4 0 0 1 0-9M16.5 7.5a6.4 6.4 0 0 1 0 9M4.7 19.3a10.4 10.4 0 0 1 0-14.6M19.3 4.7a10.4 10.4 0 0 1 0 14.6',
  eye: 'M2.5 12s3.5-6.5 9.5-6.5 9.5 6.5 9.5 6.5-3.5 6.5-9.5 6.5S2.5 12 2.5 12zM12 14.8a2.8 2.8 0 1 0 0-5.6 2.8 2.8 0 0 0 0 5.6z',
  hand: 'M8 11V5.5a1.5 1.5 0 0 1 3 0V10m0-5.5a1.5 1.5 0 0 1 3 0V10m0-3.5a1.5 1.5 0 0 1 3 0V14a6.5 6.5 0 0 1-6.5 6.5c-2.5 0-3.9-1-5-3L3.3 14a1.6 1.6 0 0 1 2.6-1.8L8 14.5',
  plus: 'M12 5v14M5 12h14',
} as const

export type IconName = keyof typeof paths

export function Icon({ name, size = 18 }: { name: IconName; size?: number }) {
  const dots = name === 'more'
  return (
    <svg className="icon" width={size} height={size} viewBox="0 0 24 24" aria-hidden="true" focusable="false">
      <path
        d={paths[name]}
        fill="none"
        stroke="currentColor"
        strokeWidth={dots ? 3 : 1.7}
        strokeLinecap="round"
        strokeLinejoin="round"
      />
    </svg>
  )
}

export function Mark({ size = 26 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 32 32" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="7" fill="#0d5b6b" />
      <path d="M7 25V14a9 9 0 0 1 18 0v11" fill="none" stroke="#fff" strokeWidth="2.6" strokeLinecap="round" />
      <path
        d="M13 25V15.5a3 3 0 0 1 6 0V25M5 25h22"
        fill="none"
        stroke="#f2b84b"
        strokeWidth="2.6"
        strokeLinecap="round"
      />
    </svg>
  )
}
