// Command dist builds the files of a release: for each architecture the program alone, an archive and a Debian package, and their SHA-256s.
//
//	go run ./dist -o build/dist
//
// The bytes follow from the source, the version, the epoch and the version of Go alone: archives and packages are written here, not by tar,
// gzip and dpkg-deb of the host.
package main

import (
	"crypto/sha256"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// architectures are those of a release, as both Go and Debian call them.
var architectures = []string{"amd64", "arm64"}

// A release is what its files have in common.
type release struct {
	version string // as in a tag: v1.2.3, or v1.2.3-4-gabcdef0 for the fourth commit after it
	epoch   time.Time
	dir     string // for the files
}

func main() {
	out := flag.String("o", "build/dist", "`directory` for the files, which replaces an older one")
	version := flag.String("version", "", "version (default: what git describe prints)")
	epoch := flag.String("epoch", os.Getenv("SOURCE_DATE_EPOCH"), "time of all files, in `seconds` since 1970 (default: of the last commit)")
	flag.Parse()
	if err := run(*out, *version, *epoch); err != nil {
		fmt.Fprintln(os.Stderr, "dist:", err)
		os.Exit(1)
	}
}

func run(out, version, epoch string) (err error) {
	if version == "" {
		if version, err = output("git", "describe", "--tags", "--always", "--dirty"); err != nil {
			return err
		}
	}
	if epoch == "" {
		if epoch, err = output("git", "log", "-1", "--format=%ct"); err != nil {
			return err
		}
	}
	seconds, err := strconv.ParseInt(epoch, 10, 64)
	if err != nil {
		return fmt.Errorf("parse epoch: %w", err)
	}
	if err := os.RemoveAll(out); err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o755); err != nil {
		return err
	}
	return release{version, time.Unix(seconds, 0).UTC(), out}.build()
}

// build builds all files of the release.
func (r release) build() error {
	shared, err := r.shared()
	if err != nil {
		return err
	}
	for _, arch := range architectures {
		program := filepath.Join(r.dir, fmt.Sprintf("imprint-%s-linux-%s", r.number(), arch))
		if err := r.compile(program, arch); err != nil {
			return err
		}
		content, err := os.ReadFile(program)
		if err != nil {
			return err
		}
		files := append([]file{{"bin/imprint", 0o755, content}}, shared...)
		if err := r.archive(program+".tar.gz", files); err != nil {
			return err
		}
		if err := r.debian(arch, files); err != nil {
			return err
		}
	}
	return r.sums()
}

// number is the version without the letter of a tag.
func (r release) number() string { return strings.TrimPrefix(r.version, "v") }

// compile builds the program for an architecture: static, and without a path of this machine.
func (r release) compile(program, arch string) error {
	cmd := exec.Command("go", "build", "-trimpath", "-buildvcs=false", "-ldflags", "-s -w -X main.release="+r.version, "-o", program, "./cmd/imprint")
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+arch, "GOAMD64=v1", "GOARM64=v8.0", "GOFLAGS=", "GOEXPERIMENT=")
	cmd.Stderr = os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("build for %s: %w", arch, err)
	}
	return os.Chmod(program, 0o755)
}

// sums writes the SHA-256s of all files, in the form of sha256sum.
func (r release) sums() error {
	entries, err := os.ReadDir(r.dir)
	if err != nil {
		return err
	}
	var list strings.Builder
	for _, e := range entries {
		content, err := os.ReadFile(filepath.Join(r.dir, e.Name()))
		if err != nil {
			return err
		}
		fmt.Fprintf(&list, "%x  %s\n", sha256.Sum256(content), e.Name())
	}
	return os.WriteFile(filepath.Join(r.dir, "SHA256SUMS"), []byte(list.String()), 0o644)
}

// output runs a program and returns what it prints, without the end of the line.
func output(name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(slices.Concat([]string{name}, args), " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}
