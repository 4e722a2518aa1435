package image

import (
	"fmt"
	"strings"
)

// maxCmdline is how many bytes of a command line a kernel takes (Linux, COMMAND_LINE_SIZE without the NUL), by architecture.
var maxCmdline = map[string]int{"x86_64": 2047, "aarch64": 2047, "riscv64": 1023}

// added bounds the bytes that a loader adds to a command line: names of the kernel and of initrds.
var added = map[string]int{loaderGRUB: 256, loaderSyslinux: 512, loaderSystemdBoot: 512}

// cmdline is the command line of an entry, with the words that all entries have: in front of "--", behind which all is for init.
func (r *resolver) cmdline(t Template) string {
	var words []string
	kernel, init := t.Expand(r.reference), ""
	if at := strings.Index(" "+kernel+" ", " -- "); at >= 0 {
		kernel, init = kernel[:at], kernel[at:]
	}
	add := func(text string) {
		if text = strings.Trim(text, " "); text != "" {
			words = append(words, text)
		}
	}
	add(kernel)
	for _, console := range r.d.Boot.Console {
		add("console=" + console)
	}
	for _, word := range r.d.rootWords() {
		add(word)
	}
	add(init)
	return strings.Join(words, " ")
}

// changed are characters of a command line that a loader does not hand on as they are, and what it does to them.
var changed = map[string]struct{ what, how string }{
	loaderGRUB:     {`"'\`, "which GRUB hands to the kernel with a backslash before it"},
	loaderExtlinux: {`$'\`, "which has a meaning to U-Boot"},
}

// checkCmdline tells what of a command line would not come to the kernel as it is written.
func (d *Description) checkCmdline(text string) error {
	loader := changed[d.Boot.Loader]
	if i := strings.IndexAny(text, loader.what); i >= 0 {
		return mistake{text: fmt.Sprintf("has a %c in it, %s", text[i], loader.how)}
	}
	if d.Boot.Loader == loaderExtlinux && strings.HasPrefix(strings.TrimLeft(text, " "), "#") {
		return mistake{text: "begins with #, which is a comment to U-Boot"}
	}
	if most, ok := maxCmdline[d.Arch]; ok && len(text) > most-added[d.Boot.Loader] {
		return mistake{text: fmt.Sprintf("is %d bytes long, and a kernel for %s reads %d with what the loader adds", len(text), d.Arch, most)}
	}
	return nil
}
