import react from '@vitejs/plugin-react'
import { defineConfig } from 'vite'

// The server replaces __NONCE__ in index.html by a fresh value for every answer. Nothing is inlined as data: and no
// polyfill script is injected, so that the policy can stay "self" for scripts.
export default defineConfig({
  plugins: [react()],
  html: { cspNonce: '__NONCE__' },
  build: {
    outDir: 'dist',
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    chunkSizeWarningLimit: 900,
  },
})
