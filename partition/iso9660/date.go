package iso9660

import (
	"fmt"
	"strings"
	"time"
)

// Dates take 7 bytes in directory records (ECMA-119, 9.1.5) and 17 bytes, of which 16 are digits, in volume descriptors (ECMA-119,
// 8.4.26.1). The last byte of both is the zone in quarters of an hour; this package writes UTC.
const (
	shortDateSize = 7
	longDateSize  = 17
	dateDigits    = 16
	noDate        = "0000000000000000"
)

// The range of the short form, whose year is one byte, in seconds since 1970. Rock Ridge's TF entries allow the long form too, but Linux
// does not read it there (fs/isofs/rock.c).
const (
	minTime = -2208988800 // 1900-01-01 00:00:00
	maxTime = 5869583999  // 2155-12-31 23:59:59
)

// The range of the long form, whose year has four digits, in seconds since 1970.
const (
	minDate = -62135596800 // 0001-01-01 00:00:00
	maxDate = 253402300799 // 9999-12-31 23:59:59
)

// shortDate is a time in seconds since 1970.
func shortDate(seconds int64) [shortDateSize]byte {
	year, month, day := time.Unix(seconds, 0).UTC().Date()
	inDay := (seconds%86400 + 86400) % 86400
	return [shortDateSize]byte{byte(year - 1900), byte(month), byte(day), byte(inDay / 3600), byte(inDay / 60 % 60), byte(inDay % 60)}
}

// parseShortDate returns seconds since 1970.
func parseShortDate(p []byte) int64 {
	t := time.Date(1900+int(p[0]), time.Month(p[1]), int(p[2]), int(p[3]), int(p[4]), int(p[5]), 0, time.UTC)
	return t.Unix() - int64(int8(p[6]))*15*60
}

// parseLongDate returns seconds since 1970, without the hundredths.
func parseLongDate(p []byte) (int64, error) {
	t, err := time.Parse("20060102150405", string(p[:14]))
	if err != nil {
		return 0, fmt.Errorf("date %q", p[:dateDigits])
	}
	return t.Unix() - int64(int8(p[16]))*15*60, nil
}

func putLongDate(b []byte, seconds int64) {
	copy(b, Date(seconds))
	b[dateDigits] = 0
}

// Date returns a time in seconds since 1970 as a volume descriptor records it, in UTC: 16 digits, from the year to hundredths of a second.
func Date(seconds int64) string {
	return time.Unix(seconds, 0).UTC().Format("20060102150405") + "00"
}

// UUID returns the string that mount, udev and GRUB use as the UUID of a volume modified at a time in seconds since 1970: the digits of
// the date with hyphens, such as "2009-02-13-23-31-30-00".
func UUID(modified int64) string { return hyphenated(Date(modified)) }

func hyphenated(d string) string {
	return strings.Join([]string{d[:4], d[4:6], d[6:8], d[8:10], d[10:12], d[12:14], d[14:16]}, "-")
}
