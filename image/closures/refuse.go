package closures

import (
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"syscall"

	"imprint/closure"
	"imprint/image/host"
	"imprint/internal/diag"
	"imprint/internal/pattern"
)

// refuse turns an error of opening a source into a problem at the key, if the user can fix it: the key names no store, or a
// damaged one. It returns errors of the world, such as a broken disk or a locked database. Errors in a registration file have
// positions of their own.
func (s *sources) refuse(key diag.Key, err error) error {
	var list diag.List
	var invalid *closure.InvalidError
	var mistake diag.Mistake
	switch {
	case errors.As(err, &list):
		s.problems = append(s.problems, list...)
	case errors.As(err, &mistake):
		s.problems = append(s.problems, key.ProblemOf(err))
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		hint := "a source needs the store's database below its path, or a registration file"
		if key.Line == 0 {
			hint = "there is no [[source]], so items are looked for in the host's own store; with one, in another store or a directory with a registration file"
		}
		s.problems = append(s.problems, key.Problem(err.Error(), hint))
	case errors.As(err, &invalid), isBadName(err):
		s.problems = append(s.problems, key.ProblemOf(err))
	default:
		return err
	}
	return nil
}

// isBadName reports whether a file could not be opened because it is the wrong one.
func isBadName(err error) bool {
	return slices.ContainsFunc([]error{fs.ErrPermission, syscall.EISDIR, syscall.ELOOP, syscall.ENAMETOOLONG, syscall.ENXIO},
		func(known error) bool { return errors.Is(err, known) })
}

// refuseOutput refuses to write the image into one of its own items. Elsewhere in a store it may lie: that is where a Nix build has its output.
func (s *sources) refuseOutput(all *closure.Closure) {
	if s.OutDir == "" {
		return
	}
	for _, p := range s.places {
		for _, item := range all.Items {
			path := p.prefix + item.Info.Path.String()
			if p.image == nil && strings.Contains(s.OutDir, item.Info.Path.Base()) { // the second only saves time
				s.problems = append(s.problems, host.CheckOutput(p.key, path, s.OutDir, pattern.Set{})...)
			}
		}
	}
}

// blame turns errors of closures into problems: at the root if that is missing, else at the closures. It returns errors of the
// world.
func (s *sources) blame(err error, keys map[closure.Path]diag.Key) error {
	var missing *closure.MissingError
	var invalid *closure.InvalidError
	switch {
	case errors.As(err, &invalid):
		s.problems = append(s.problems, s.d.Closure.Key.ProblemOf(err))
		return nil
	case !errors.As(err, &missing):
		return s.blameSource(err)
	}
	others := 0
	for _, m := range missing.Items {
		key, isRoot := keys[m.Path]
		if !isRoot {
			key = s.d.Closure.Key
			others++
		}
		if isRoot || others <= closure.MostReported {
			one := closure.MissingError{Items: []closure.MissingItem{m}, Stores: missing.Stores}
			s.problems = append(s.problems, key.ProblemOf(&one))
		}
	}
	if more := others - closure.MostReported; more > 0 {
		s.problems = append(s.problems, s.d.Closure.Key.Problem(fmt.Sprintf("%d more items that they refer to are not valid in any source", more), ""))
	}
	return nil
}
