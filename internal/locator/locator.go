// Package locator reads locators: texts that say where a file is, of which its hash alone says what it is.
package locator

import (
	"errors"
	"fmt"
	"net/url"
	"path"
	"strings"

	"imprint/internal/annex"
	"imprint/internal/cid"
	"imprint/internal/remote"
)

// A Kind is what a locator leads to.
type Kind string

// The kinds, as locators begin.
const (
	File  Kind = "file"  // on this machine: file:PATH, or a URL, file:///PATH
	Annex Kind = "annex" // in a repository of git-annex: annex:PATH, or annex:KEY
	Store Kind = "store" // in a store on this machine: store:PATH
	IPFS  Kind = "ipfs"  // at a gateway: ipfs:CID, or ipfs:CID/PATH
	HTTP  Kind = "http"
	HTTPS Kind = "https"
)

// A Locator says where a file is.
type Locator struct {
	Kind Kind
	Path string // of a file, in a store or in a repository; of IPFS from the CID on; escaped in a URL, and so is it here
	URL  string // of HTTP and HTTPS
	Sum  *Sum   // of the content, if the locator itself says it
}

// A Sum is a SHA-256.
type Sum = [32]byte

// longest is the length in bytes of the longest locator: more than browsers and servers take.
const longest = 8 << 10

// Parse reads a locator.
func Parse(text string) (l Locator, err error) {
	scheme, rest, ok := strings.Cut(text, ":")
	l.Kind = Kind(scheme)
	switch {
	case len(text) > longest:
		return Locator{}, fmt.Errorf("has %d bytes, more than %d", len(text), longest)
	case !ok || rest == "":
		return Locator{}, fmt.Errorf("is no locator: it has the form of %s", forms)
	case strings.ContainsRune(text, 0):
		return Locator{}, errors.New("contains a NUL")
	}
	switch l.Kind {
	case File:
		l.Path, err = fileOf(text, rest)
	case HTTP, HTTPS:
		l.URL = text
		_, _, err = remote.Split(text)
	case Annex:
		l.Path = rest
		if k, wrong := annex.ParseKey(path.Base(rest)); wrong == nil {
			l.Sum = sumOf(k.SHA256())
		}
	case Store:
		if l.Path = rest; path.Clean(rest) != rest || !path.IsAbs(rest) {
			err = fmt.Errorf("%q is no clean absolute path", rest)
		}
	case IPFS:
		l.Path, l.Sum, err = ipfsOf(rest)
	default:
		err = fmt.Errorf("%.40q is no kind of locator: it has the form of %s", scheme, forms)
	}
	if err != nil {
		return Locator{}, err
	}
	return l, nil
}

const forms = "file:PATH, https://HOST/PATH, annex:PATH, annex:KEY, ipfs:CID or store:PATH"

// Local reports whether the file is on this machine without anything being fetched.
func (l Locator) Local() bool { return l.Kind == File || l.Kind == Store }

// Shown returns the text of a locator without a password.
func Shown(text string) string {
	if u, err := url.Parse(text); err == nil && u.User != nil {
		return u.Redacted()
	}
	return text
}

// fileOf returns the path in file:PATH or file:///PATH.
func fileOf(text, rest string) (string, error) {
	if !strings.HasPrefix(rest, "//") {
		return rest, nil
	}
	if _, _, err := remote.Split(text); err != nil {
		return "", err
	}
	return url.PathUnescape(strings.TrimPrefix(rest, "//"))
}

// ipfsOf reads CID or CID/PATH, in which // may come first.
func ipfsOf(rest string) (string, *Sum, error) {
	rest = strings.TrimPrefix(rest, "//")
	id, below, isBelow := strings.Cut(rest, "/")
	c, err := cid.Parse(id)
	if err != nil {
		return "", nil, fmt.Errorf("%.80q %w", id, err)
	}
	if !isBelow {
		return id, sumOf(c.SHA256()), nil
	}
	if err := remote.CheckName(below); err != nil || strings.Contains(below, "?") {
		return "", nil, fmt.Errorf("%.80q is no path of a file", below)
	}
	return id + "/" + below, nil, nil
}

func sumOf(sum Sum, ok bool) *Sum {
	if !ok {
		return nil
	}
	return &sum
}
