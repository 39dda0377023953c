import { describe, expect, test } from 'vitest'
import { redirectOf } from './redirects.js'

const siteUrl = 'https://app.example.com/start'
const places = {
  siteUrl,
  redirectUrls: [
    'https://*.preview.example.com/**',
    'myapp://callback',
    'https://exact.example.org/cb',
    'http://localhost:*/auth/?',
  ],
}

describe('a link may lead', () => {
  test.each([
    ['https://app.example.com/'],
    ['https://app.example.com'],
    ['https://app.example.com/welcome?a=1#b'],
    ['http://app.example.com:3000/x'],
    ['https://one.preview.example.com/'],
    ['https://one.preview.example.com/deep/path?x=1'],
    ['myapp://callback'],
    ['https://exact.example.org/cb'],
    ['http://localhost:5173/auth/x'],
  ])('to %s', (url) => {
    expect(redirectOf([url], places)).toBe(url)
  })

  test.each([
    ['https://evil.example'],
    ['https://app.example.com@evil.example/'],
    ['https://user:pw@app.example.com/'],
    ['https://app.example.com.evil.example/'],
    ['https://evil.example/https://app.example.com/'],
    ['//app.example.com/'],
    ['/relative'],
    ['https://a.b.preview.example.com/'],
    ['https://evil.example\\.preview.example.com/'],
    ['https://evil.example?.preview.example.com/'],
    ['https://evil.example#.preview.example.com/'],
    ['https://evil.example/.preview.example.com/'],
    ['https://exact.example.org/cb/more'],
    ['https://exact.example.org/cb?x=1'],
    ['https://exactXexample.org/cb'],
    ['http://localhost:5173/auth/xy'],
    ['javascript:alert(1)'],
    ['JaVaScRiPt:alert(1)//app.example.com'],
    ['java\nscript:alert(1)'],
    ['data:text/html,x'],
    ['myapp://callback.evil'],
    ['myapp://other'],
    ['javascript://app.example.com/%0aalert(1)'],
    ['ftp://app.example.com/'],
    [''],
  ])('not to %j', (url) => {
    expect(redirectOf([url], places)).toBe(siteUrl)
  })

  test('to the first wish that is allowed', () => {
    expect(redirectOf([undefined, 'https://evil.example', 'myapp://callback', siteUrl], places)).toBe('myapp://callback')
  })

  test('to any name of this machine, where the application is on it', () => {
    const local = { siteUrl: 'http://127.0.0.1:8080', redirectUrls: [] }
    for (const url of ['http://localhost:3000/welcome', 'http://127.0.0.1:5173/', 'http://[::1]:3000/x'])
      expect(redirectOf([url], local)).toBe(url)
    for (const url of ['http://localhost.evil.example/', 'http://127.0.0.1.evil.example/', 'http://localhost:3000/x'])
      expect(redirectOf([url], url.includes('evil') ? local : places)).not.toBe(url)
  })
})
