package partition

import (
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"imprint/internal/diag"
	"imprint/internal/repro"
)

// UUIDForm is a regular expression for the text of a UUID.
const UUIDForm = "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$"

var uuidForm = regexp.MustCompile(UUIDForm)

// CheckUUID reports an error for text that is not a UUID, or is that of all zeros.
func CheckUUID(text string) error {
	switch {
	case !uuidForm.MatchString(text):
		return diag.Mistake{Text: fmt.Sprintf("%q is not a UUID", text), Hint: `as in "4f68bce3-e8cd-4db1-96e7-fbcaf984b709"`}
	case strings.Trim(text, "0-") == "":
		return diag.Mistake{Text: "is all zeros, which means none", Hint: "remove it to have one derived"}
	}
	return nil
}

// specUUID returns the identifier of a file system that has a UUID.
func specUUID(s *Spec) string {
	if s.UUID == (repro.UUID{}) {
		return ""
	}
	return s.UUID.String()
}

// labelOf joins the names of an image and a partition into at most room bytes. It cuts the image's name first, since the
// partition's tells the partitions of one image apart.
func labelOf(image, partition string, room int) string {
	for len(partition) > room {
		_, size := utf8.DecodeLastRuneInString(partition)
		partition = partition[:len(partition)-size]
	}
	image = image[:min(len(image), max(0, room-1-len(partition)))]
	if image == "" {
		return partition
	}
	return image + "-" + partition
}

// upper converts a text to A-Z, 0-9 and the characters in more; others become _.
func upper(text, more string) string {
	return strings.Map(func(r rune) rune {
		if 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune(more, r) {
			return r
		}
		return '_'
	}, strings.ToUpper(text))
}
