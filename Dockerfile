# Builds the one executable from source, then puts it alone on Debian 12.
#
# The base is debian:12-slim because the Node inside needs glibc 2.34 or newer, libstdc++ and libatomic: no musl image has
# the first, and no distroless one the last. It also has a shell, which an operator wants in an outage.

FROM node:26-bookworm-slim AS build
RUN apt-get update \
 && apt-get install -y --no-install-recommends libatomic1 \
 && rm -rf /var/lib/apt/lists/*
WORKDIR /build
COPY package.json package-lock.json .npmrc ./
RUN npm ci
COPY . .
RUN npm run build && mkdir /empty

FROM debian:12-slim
RUN apt-get update \
 && apt-get install -y --no-install-recommends ca-certificates libatomic1 libstdc++6 \
 && rm -rf /var/lib/apt/lists/* \
 && useradd --system --uid 10001 --home-dir /data --shell /usr/sbin/nologin candor
COPY --from=build /build/dist/candor /usr/local/bin/candor
COPY --from=build --chown=10001:10001 /empty /data

# The key doesn't lie beside what it opens: mount it as a secret or a file of its own.
ENV CANDOR_LISTEN=0.0.0.0:8080 \
    CANDOR_DATA=/data \
    CANDOR_KEY_FILE=/run/secrets/candor.key
USER 10001:10001
VOLUME /data
EXPOSE 8080
HEALTHCHECK --interval=30s --timeout=5s --start-period=10s --retries=3 CMD ["/usr/local/bin/candor", "health"]
ENTRYPOINT ["/usr/local/bin/candor"]
CMD ["serve"]
