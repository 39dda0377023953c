import { type QueryClient, QueryClientProvider } from '@tanstack/react-query'
import { type RouterHistory, RouterProvider } from '@tanstack/react-router'
import { useState } from 'react'
import { LiveProvider } from './live.tsx'
import { createDashboardRouter } from './router.tsx'
import { SayProvider } from './say.tsx'

export interface DashboardProps {
  readonly client: QueryClient
  /** Default: the browser's. */
  readonly history?: RouterHistory
}

/** All of it. */
export const Dashboard = ({ client, history }: DashboardProps) => {
  const [router] = useState(() => createDashboardRouter(history))
  return (
    <QueryClientProvider client={client}>
      <LiveProvider>
        <SayProvider>
          <RouterProvider router={router} />
        </SayProvider>
      </LiveProvider>
    </QueryClientProvider>
  )
}
