package identity

import (
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"imprint/image/plan"
)

// Ingredients returns what the seed is a digest of: the keys of the description with defaults, host files by their digests, and store items by their NAR
// hashes. Two images with equal ones are equal. Names are unique, and sorted; values with control characters are quoted.
func (m Image) Ingredients() (list []plan.Ingredient) {
	list = flatten(nil, "", m.record())
	for _, item := range m.Items {
		list = append(list, plan.Ingredient{Name: item.Info.Path.String(), Value: "sha256:" + hex.EncodeToString(item.Info.NARHash[:])})
	}
	slices.SortFunc(list, func(a, b plan.Ingredient) int { return strings.Compare(a.Name, b.Name) })
	return slices.CompactFunc(list, func(a, b plan.Ingredient) bool { return a.Name == b.Name })
}

// flatten appends the members of a value of a record.
func flatten(list []plan.Ingredient, name string, value any) []plan.Ingredient {
	switch v := value.(type) {
	case record:
		for _, key := range slices.Sorted(maps.Keys(v)) {
			list = flatten(list, strings.TrimPrefix(name+"."+kebab(key), "."), v[key])
		}
	case []any:
		for i, member := range v {
			list = flatten(list, fmt.Sprintf("%s[%d]", name, i), member)
		}
	case []record:
		for i, member := range v {
			list = flatten(list, fmt.Sprintf("%s[%d]", name, i), member)
		}
	case []string:
		for i, member := range v {
			list = flatten(list, fmt.Sprintf("%s[%d]", name, i), member)
		}
	case nil:
	default:
		text := fmt.Sprint(v)
		if strings.ContainsFunc(text, unicode.IsControl) {
			text = strconv.Quote(text)
		}
		list = append(list, plan.Ingredient{Name: name, Value: text})
	}
	return list
}

// kebab returns the name of a member as keys of a description are written.
func kebab(name string) string {
	var b strings.Builder
	lower := false // the letter before is one
	for _, r := range name {
		if unicode.IsUpper(r) && lower {
			b.WriteByte('-')
		}
		lower = unicode.IsLower(r)
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
