/** Keeping what did not change the same value, so that whoever needs to know compares two references. */

/** `last` where it holds the same items in the same order as `list`, else `list`. */
export const sameList = <T>(last: readonly T[] | undefined, list: readonly T[]): readonly T[] =>
  last?.length === list.length && list.every((item, index) => item === last[index]) ? last : list

/** Whether two records of one shape hold the same values. */
export const isSameRecord = <T extends object>(one: T, other: T): boolean =>
  (Object.keys(one) as (keyof T)[]).every((key) => one[key] === other[key])
