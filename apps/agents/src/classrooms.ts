/** For whom the agents work: towns and what their schools teach, as it is called there; the classes are made up. */
export interface Town {
  readonly name: string
  readonly region: string
  readonly curriculum: string
  /** What a year at school is called. */
  readonly year: string
  readonly language: string
}

const australian = { curriculum: 'Australian Curriculum 9.0', year: 'Year', language: 'en-AU' } as const
const ontario = { curriculum: 'Ontario Curriculum', year: 'Grade', language: 'en-CA' } as const

export const towns: readonly Town[] = [
  { name: 'Darwin', region: 'NT', ...australian },
  { name: 'Katherine', region: 'NT', ...australian },
  { name: 'Cairns', region: 'QLD', ...australian },
  { name: 'Broome', region: 'WA', ...australian },
  { name: 'Parramatta', region: 'NSW', ...australian, curriculum: 'NSW Syllabus' },
  { name: 'Toronto', region: 'ON', ...ontario },
  { name: 'Thunder Bay', region: 'ON', ...ontario },
  { name: 'Whitehorse', region: 'YT', curriculum: 'BC Curriculum', year: 'Grade', language: 'en-CA' },
  { name: 'Montréal', region: 'QC', curriculum: 'Programme de formation', year: 'année', language: 'fr-CA' },
]

export const topics: Readonly<Record<string, readonly string[]>> = {
  'en-AU': [
    'equivalent fractions',
    'mangroves of the Top End',
    'Federation',
    'the wet and the dry',
    'telling time',
    'Uluṟu-Kata Tjuṯa',
  ],
  'en-CA': ['place value', 'treaties', 'the Great Lakes', 'permafrost', 'Confederation', 'the water cycle'],
  'fr-CA': ['les fractions', 'la Nouvelle-France', 'le Saint-Laurent', 'l’accord du participe passé', 'le cycle de l’eau'],
}
