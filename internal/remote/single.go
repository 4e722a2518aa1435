package remote

import (
	"errors"
	"net/url"
	"strings"
)

// Split splits the URL of a file into that of its directory, for [Open], and a name, for [Dir.Open].
func Split(address string) (dir, name string, err error) {
	rest, query, hasQuery := strings.Cut(address, "?")
	if strings.Contains(address, "#") {
		return "", "", errors.New("what follows the path, from \"#\" on, is not supported")
	}
	u, err := Parse(rest)
	if err != nil {
		return "", "", err
	}
	path := u.EscapedPath()
	slash := strings.LastIndexByte(path, '/')
	if name = path[slash+1:]; name == "" {
		return "", "", errors.New("is a directory: the name of a file is missing")
	}
	if err := CheckName(name); err != nil {
		return "", "", err
	}
	above, err := url.PathUnescape(path[:slash+1])
	if err != nil {
		return "", "", err
	}
	u.Path, u.RawPath = above, path[:slash+1]
	if hasQuery {
		name += "?" + query
	}
	return u.String(), name, nil
}
