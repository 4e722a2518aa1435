package nbd

import (
	"net/url"
	"strings"
)

// URI returns the URI of an export at an address of a network, "unix" or "tcp". The name of the default export is empty. The format is that of
// https://github.com/NetworkBlockDevice/nbd/blob/master/doc/uri.md.
func URI(network, address, name string) string {
	export := (&url.URL{Path: "/" + name}).EscapedPath()
	if network == "unix" {
		path := strings.NewReplacer("+", "%20", "%2F", "/").Replace(url.QueryEscape(address))
		return "nbd+unix://" + export + "?socket=" + path
	}
	return "nbd://" + address + export
}
