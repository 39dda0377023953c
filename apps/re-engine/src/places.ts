/** Where the leads are: real towns and street names, made-up people; numbers and domains are those that are kept free for stories. */
interface Town {
  readonly city: string
  readonly province: string
  readonly postalCodes: readonly string[]
  readonly streets: readonly string[]
  /** Before the last digits of numbers that are given to nobody. */
  readonly phone: string
  /** How many of those digits there are. */
  readonly digits: number
  readonly timezone: string
  readonly prices: readonly string[]
}

const australian = ['400k-600k', '600k-800k', '800k-1.2M', '1.2M+'] as const
const canadian = ['500k-750k', '750k-1M', '1M-1.5M', '1.5M+'] as const

export const towns: readonly Town[] = [
  {
    ...{ city: 'Darwin', province: 'NT', postalCodes: ['0800', '0810', '0820'], phone: '+6185550', digits: 4 },
    streets: ['Mitchell Street', 'Smith Street', 'Bagot Road', 'Progress Drive', 'East Point Road'],
    ...{ timezone: 'Australia/Darwin', prices: australian },
  },
  {
    ...{ city: 'Alice Springs', province: 'NT', postalCodes: ['0870', '0871'], phone: '+6187010', digits: 4 },
    streets: ['Todd Street', 'Gap Road', 'Larapinta Drive'],
    ...{ timezone: 'Australia/Darwin', prices: australian },
  },
  {
    ...{ city: 'Brisbane', province: 'QLD', postalCodes: ['4000', '4101', '4169'], phone: '+6175550', digits: 4 },
    streets: ['Boundary Street', 'Latrobe Terrace', 'Oxford Street'],
    ...{ timezone: 'Australia/Brisbane', prices: australian },
  },
  {
    ...{ city: 'Toronto', province: 'ON', postalCodes: ['M5V 2T6', 'M4K 1N2'], phone: '+141655501', digits: 2 },
    streets: ['Queen Street West', 'Bathurst Street', 'Danforth Avenue'],
    ...{ timezone: 'America/Toronto', prices: canadian },
  },
  {
    ...{ city: 'Montréal', province: 'QC', postalCodes: ['H2Y 1C6', 'H2J 1M4'], phone: '+151455501', digits: 2 },
    streets: ['rue Saint-Denis', 'avenue du Mont-Royal', 'boulevard René-Lévesque'],
    ...{ timezone: 'America/Toronto', prices: canadian },
  },
  {
    ...{ city: 'Vancouver', province: 'BC', postalCodes: ['V6B 1A1', 'V5K 0A1'], phone: '+160455501', digits: 2 },
    streets: ['Granville Street', 'Commercial Drive', 'West 4th Avenue'],
    ...{ timezone: 'America/Vancouver', prices: canadian },
  },
]

export const firstNames = [
  'Ana',
  'Wei',
  'Priya',
  'Siobhán',
  'Tom',
  'Marguerite',
  'Jarrah',
  'Mei',
  'Zoë',
  'Tāne',
  'Louis-Étienne',
  'Nguyễn',
  'Kirra',
  'Aisha',
  'Ben',
] as const
export const lastNames = [
  'Li',
  "O'Neill",
  'Chen',
  'Raman',
  'Lefèvre',
  'Ah Kit',
  'Nguyen',
  'van der Berg',
  'Gagnon',
  'Singh',
  'MacDonald',
  'Yunupiŋu',
  'Smith-Jones',
] as const
export const brokerages = [
  'Top End Homes',
  'Red Centre Realty',
  'Harbour & Co',
  'Maple Leaf Property',
  'Immobilier Laurier',
] as const
/** As people and systems write them: the same one in several ways. */
export const sources = [
  'website',
  'Website',
  'referral',
  'open house',
  'facebook',
  'realestate.com.au',
  'domain.com.au',
  'realtor.ca',
  'walk-in',
] as const
export const propertyTypes = ['house', 'unit', 'townhouse', 'condo', 'land', 'acreage'] as const
export const timelines = ['now', '1-3 months', '3-6 months', '6+ months', 'just looking'] as const
export const remarks = [
  'Would Saturday at ten suit you for the inspection?',
  "It's a quiet street, and the school is around the corner.",
  'Le propriétaire accepte une visite dimanche 🙂',
  'The price guide was changed; I can send you the comparable sales.',
  'Thank you for coming.\nShall I book the building inspection?',
] as const
export const replies = [
  'Yes please!',
  'Not this week, sorry.',
  'Oui, merci.',
  'How much are the body corporate fees?',
  'Is it pet friendly? 🐕',
] as const
