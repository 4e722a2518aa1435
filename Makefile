# Needs Go and make. On Debian, testdata/hosttools installs everything else that a target needs.
export PATH := $(PATH):/usr/sbin:/sbin
export GOFLAGS ?= -buildvcs=false -trimpath
export CGO_ENABLED ?= 0

help: ## list the targets
	@sed -n 's/^\([a-z/ ]*\):.*## /  make \1\t/p' Makefile
bin/imprint: ## build the program, static
	@go build -ldflags "-X main.release=$$(git describe --tags --always --dirty 2>/dev/null)" -o bin/imprint ./cmd/imprint
dist: ## build the files of a release in build/dist, for amd64 and arm64
	@go run ./dist
demo: bin/imprint ## build the image of a small system and boot it under QEMU
	@testdata/demo
test: ## install the host tools; run check and all tests
	@testdata/suite all
repro matrix torture: ## more tests, and the table of boots: see testdata/suite
	@testdata/suite $@
check golden fuzz: ## static checks, recorded outputs, fuzz tests: see the script of that name in testdata
	@testdata/$@
bench: bin/imprint ## compare with other ways to build an image: make bench BENCH="-w S -n 3"
	@testdata/hosttools bench
	go run ./bench $(BENCH)
bench-stores: bin/imprint ## compare imprint store with Nix and the sqlite3 program: make bench-stores BENCH="-n 1"
	@testdata/hosttools bench
	go run ./bench stores $(BENCH)
clean: ## remove what was built
	@chmod -R u+w build 2>/dev/null; rm -rf bin build

.PHONY: help bin/imprint dist demo test repro matrix torture check golden fuzz bench bench-stores clean
